"""Scores, and the thresholds that they are held against."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.errors import InputError


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)) in float32, without overflow at either end."""
    small = np.exp(-np.abs(logits, dtype=np.float32))
    return np.where(logits >= 0, np.float32(1), small) / (1 + small)


def check_thresholds(thresholds: Sequence[float] | np.ndarray, labels: int) -> np.ndarray:
    """float32 [labels] from one threshold for all or one per label.

    Raises:
        InputError: a wrong number of thresholds, or one outside (0, 1).
    """
    values = np.asarray(thresholds, np.float32)
    if values.ndim == 0:
        values = np.full(labels, values, np.float32)
    if values.shape != (labels,):
        raise InputError(f"there are {values.size} thresholds for {labels} labels; give one, or one per label")
    if not ((values > 0) & (values < 1)).all():
        raise InputError(f"threshold {values[~((values > 0) & (values < 1))][0]} lies outside (0, 1)")
    return values
