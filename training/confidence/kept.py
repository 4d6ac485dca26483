"""How well promises are kept: on labelled rows, and over many random partings of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.labels.decoding import Decoder
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.labels.promises import Promise
from training.confidence.promise import LEAST_SCORE, find_cutoffs, promisable, rows_needed

SPLITS, POINTS = 100, 50
"""Partings of the rows, and points of a curve."""
MOST_SCORES = 1 << 25
"""That are held at once."""


class KeptPromises:
    """Gathers the scores of labelled rows for `promise_figures`.

    Args:
        decoder: with the promises.
        rows: how many there will be.
    """

    def __init__(self, decoder: Decoder, rows: int) -> None:
        self._decoder = decoder
        self._gathers = bool(decoder.promises) and rows * len(decoder.hierarchy) <= MOST_SCORES
        self._scores: list[np.ndarray] = []
        self._actual: list[np.ndarray] = []

    def update(self, actual: np.ndarray, scores: np.ndarray) -> None:
        """Add a batch: bool [batch, labels] and float32 [batch, labels], as `Decoder.credited` gives them."""
        if self._gathers:
            self._scores.append(scores)
            self._actual.append(actual)

    def figures(self) -> dict[str, Any] | None:
        """See `promise_figures`; None of a model without promises, or where the scores are more than MOST_SCORES."""
        if not self._gathers:
            return None
        scores, actual = map(np.concatenate, (self._scores, self._actual))
        return promise_figures(self._decoder.hierarchy, self._decoder.promises, scores, actual)


def promise_figures(
    hierarchy: LabelHierarchy, promises: Sequence[Promise], scores: np.ndarray, actual: np.ndarray
) -> dict[str, Any]:
    """How promises are kept on labelled rows.

    Args:
        scores: float32 [texts, labels], as `Decoder.credited` gives them.
        actual: bool [texts, labels].

    Returns:
        - levels: per level `curve`, the coverage (share of texts with a label) and precision of rising cut-offs, in
          pairs.
        - promises: per promise its `precision` and `levels`, per level the precision (None where nothing is promised)
          and coverage on all rows, and over SPLITS partings into halves, with cut-offs found on one half and judged on
          the other: the share in which it was kept, the mean coverage, and `best`, the mean coverage of the lowest
          cut-off that the other half itself allows. These three are None where a half is too few.
    """
    return {
        "levels": [_curve(hierarchy, level, scores, actual) for level in range(1, hierarchy.depth + 1)],
        "promises": [
            {"precision": promise.precision, "levels": _of_promise(hierarchy, promise, scores, actual)}
            for promise in promises
        ],
    }


def _of_promise(
    hierarchy: LabelHierarchy, promise: Promise, scores: np.ndarray, actual: np.ndarray
) -> list[dict[str, Any]]:
    enough = len(scores) // 2 >= rows_needed(promise.precision, hierarchy.depth)
    found = np.empty((SPLITS if enough else 0, hierarchy.depth, 3))
    for seed in range(len(found)):
        own, other = np.array_split(np.random.default_rng(seed).permutation(len(scores)), 2)
        cutoffs = find_cutoffs(hierarchy, scores[own], actual[own], promise.precision)
        most = _best_cutoffs(hierarchy, scores[other], actual[other], promise.precision)
        chosen, ideal = (_kept(hierarchy, values, scores[other]) for values in (cutoffs, most))
        for level in range(hierarchy.depth):
            precision, coverage = _measured(hierarchy, level + 1, chosen, actual[other])
            best = _measured(hierarchy, level + 1, ideal, actual[other])[1]
            found[seed, level] = (precision is None or precision >= promise.precision, coverage, best)
    names, means = ("kept", "kept_coverage", "best_coverage"), found.mean(axis=0).tolist() if enough else None
    figures = []
    for level in range(hierarchy.depth):
        precision, coverage = _measured(hierarchy, level + 1, promise.kept(hierarchy, scores), actual)
        over_splits = dict(zip(names, means[level] if means else (None, None, None)))
        figures.append({"precision": precision, "coverage": coverage, **over_splits})
    return figures


def _measured(
    hierarchy: LabelHierarchy, level: int, kept: np.ndarray, actual: np.ndarray
) -> tuple[float | None, float]:
    """Precision, None where nothing is kept, and coverage of a level."""
    columns = hierarchy.levels == level
    own = kept[:, columns]
    right = float((own & actual[:, columns]).sum() / own.sum()) if own.any() else None
    return right, float(own.any(axis=1).mean())


def _kept(hierarchy: LabelHierarchy, cutoffs: Sequence[float], scores: np.ndarray) -> np.ndarray:
    return Promise(0.5, tuple(cutoffs)).kept(hierarchy, scores) if cutoffs else np.zeros(scores.shape, bool)


def _best_cutoffs(
    hierarchy: LabelHierarchy, scores: np.ndarray, actual: np.ndarray, precision: float
) -> tuple[float, ...]:
    """For each level the lowest cut-off that has the precision on these very rows."""
    cutoffs: list[float] = []
    for level in range(1, hierarchy.depth + 1):
        candidates = promisable(hierarchy, level, cutoffs, scores)
        order = np.argsort(-scores[candidates], kind="stable")
        hits = np.cumsum(actual[candidates][order])
        enough = np.flatnonzero(hits >= precision * np.arange(1, len(order) + 1))
        if not len(enough):
            break
        cutoffs.append(min(float(scores[candidates][order][enough[-1]]), 1 - 1e-6))
    return tuple(cutoffs)


def _curve(hierarchy: LabelHierarchy, level: int, scores: np.ndarray, actual: np.ndarray) -> dict[str, Any]:
    columns = hierarchy.levels == level
    own, right = scores[:, columns], actual[:, columns]
    asked = own[own >= LEAST_SCORE]
    if not len(asked):
        return {"level": level, "curve": []}
    points = [
        (float((own >= cutoff).any(axis=1).mean()), float(right[own >= cutoff].mean()))
        for cutoff in np.unique(np.quantile(asked, np.linspace(0, 1, POINTS), method="nearest"))
    ]
    return {"level": level, "curve": points}
