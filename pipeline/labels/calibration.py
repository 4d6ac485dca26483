"""Calibration: what makes a score mean the share of times that it is right, whatever the loss of the training was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pipeline.errors import InputError

_AT_ONCE = 1 << 15
"""Scores in one step: what is between stays in the processor's cache."""


@dataclass(frozen=True)
class Calibration:
    """A rising curve from logits to calibrated logits, of each label.

    It is beta calibration (Kull, Silva Filho and Flach 2017), p' = sigmoid(high ln(1 / (1 - p)) - low ln(1 / p) +
    offset) with p = sigmoid(logit): a temperature and a bias, but for two temperatures. A logit far below 0 is
    multiplied by `low`, one far above 0 by `high`, and what lies between changes smoothly.

    Attributes:
        low, high, offset: one number for each label; `low` and `high` are above 0.

    Raises:
        InputError: numbers that do not fit each other, or would make no rising curve.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    offset: tuple[float, ...]

    def __post_init__(self) -> None:
        counts = sorted({len(values) for values in (self.low, self.high, self.offset)})
        if len(counts) > 1 or not counts[0]:
            raise InputError(f"low, high and offset have {' and '.join(map(str, counts))} numbers; give one per label")
        low, high, _ = self._arrays
        if not (np.isfinite(self._arrays).all() and (low > 0).all() and (high > 0).all()):
            raise InputError("low and high must be above 0, and all numbers finite")

    @cached_property
    def _arrays(self) -> np.ndarray:
        return np.array([self.low, self.high, self.offset], np.float32)

    def __len__(self) -> int:
        """Number of labels."""
        return len(self.offset)

    def __call__(self, logits: np.ndarray) -> np.ndarray:
        """The calibrated logits, float32 [batch, labels], of float32 [batch, labels]."""
        calibrated = np.empty(logits.shape, np.float32)
        step = max(1, _AT_ONCE // len(self))
        for start in range(0, len(logits), step):
            calibrated[start : start + step] = curve(logits[start : start + step], *self._arrays)
        return calibrated

    def of_columns(self, columns: Sequence[int]) -> Calibration:
        """The same for some of the labels."""
        return Calibration(*(tuple(values[column] for column in columns) for values in asdict(self).values()))

    def beside_plain(self, count: int) -> Calibration:
        """The same, and behind its labels so many whose logits stay as they are, up to rounding."""
        further = ((1.0,) * count, (1.0,) * count, (0.0,) * count)
        return Calibration(*(own + more for own, more in zip((self.low, self.high, self.offset), further)))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def curve(logits: np.ndarray, low: Any, high: Any, offset: Any) -> np.ndarray:
    """What `Calibration` says, of logits of any shape and numbers that broadcast to it."""
    bend = np.log1p(np.exp(-np.abs(logits)))
    rising, falling = np.maximum(logits, 0), np.minimum(logits, 0)
    rising += bend  # ln(1 / (1 - p))
    falling -= bend  # ln p
    return high * rising + low * falling + offset
