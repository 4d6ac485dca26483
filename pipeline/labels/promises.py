"""Promised precision: cut-offs from which labels are right often enough, found on labelled rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipeline.errors import InputError
from pipeline.labels.hierarchy import LabelHierarchy


@dataclass(frozen=True)
class Promise:
    """A precision, and what keeps it.

    Attributes:
        precision: at least this share of the promised labels of each level is right.
        cutoffs: for each level from 1 the score from which a label whose parents are promised is promised, too. Levels
            below have no promised label.
        confidence: that it is kept, on each level.
        rests_on, rows: the name of the file of labelled rows that it was found on, and how many these were.
        coverage: for each of these levels the share of those rows that had a promised label.

    Raises:
        InputError: numbers that cannot be used.
    """

    precision: float
    cutoffs: tuple[float, ...]
    confidence: float = 0.9
    rests_on: str = ""
    rows: int = 0
    coverage: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name, values in (("precision", (self.precision,)), ("cutoffs", self.cutoffs)):
            if not values or not all(0 < value < 1 for value in values):
                raise InputError(f"{name} of a promise must lie between 0 and 1, not {values!r:.40}")

    def thresholds(self, levels: np.ndarray) -> np.ndarray:
        """float32 [labels], for labels on these levels; no score reaches those of levels without a promise."""
        return np.array([*self.cutoffs, *[np.inf] * (levels.max() - len(self.cutoffs))], np.float32)[levels - 1]

    def kept(self, hierarchy: LabelHierarchy, scores: np.ndarray) -> np.ndarray:
        """bool [batch, labels], which labels are promised by these scores, float32 [batch, labels]."""
        return hierarchy.cap_descendants(scores >= self.thresholds(hierarchy.levels))

    def in_words(self, depth: int) -> str:
        """What is promised, in a hierarchy so deep, and how many of the rows got a label."""
        levels = [
            f"level {level} for {100 * share:.1f} % of the texts" for level, share in enumerate(self.coverage, start=1)
        ]
        rest = f", nothing below level {len(self.cutoffs)}" * (len(self.cutoffs) < depth)
        return f"promise {self.precision:g}, with {100 * self.confidence:g} % confidence: {', '.join(levels)}{rest}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def check_promises(promises: Sequence[Promise], depth: int) -> None:
    """Raise InputError unless a bundle with so many levels can hold these: rising, each precision once."""
    precisions = [promise.precision for promise in promises]
    if precisions != sorted(set(precisions)):
        raise InputError(f"promises are of {precisions}; give each precision once, the lowest first")
    if any(len(promise.cutoffs) > depth for promise in promises):
        raise InputError(f"a promise has cut-offs of more levels than the {depth} that there are")


def chosen_promise(promises: Sequence[Promise], precision: float) -> Promise:
    """The promise of a precision; raises InputError where there is none."""
    for promise in promises:
        if promise.precision == precision:
            return promise
    held = ", ".join(f"{promise.precision:g}" for promise in promises)
    known = f"this model can promise {held}" if held else "this model promises nothing; export it with --promise"
    raise InputError(f"promise is {float(precision)!r}; {known}")  # :g would write 0.70000001 as 0.7


def highest_promised(promises: Sequence[Promise], hierarchy: LabelHierarchy, scores: np.ndarray) -> np.ndarray:
    """float32 [batch, labels]: of each label the highest precision that is promised for it, 0 where none is.

    Args:
        promises: the lowest first.
        scores: float32 [batch, labels], as `pipeline.labels.decoding.Decoder.credited` gives them.
    """
    found = np.zeros(scores.shape, np.float32)
    for promise in promises:
        found[promise.kept(hierarchy, scores)] = promise.precision
    return found
