"""Which label is taken for which: the most frequent pairs of a missed and a wrongly predicted label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.labels.hierarchy import LabelHierarchy

MAX_PAIRS_PER_TEXT = 100


@dataclass(frozen=True)
class ConfusedPair:
    """In `count` texts `missed` is true and `predicted` was predicted instead; both are label paths."""

    missed: str
    predicted: str
    count: int


class ConfusedPairs:
    """Counts pairs of deepest labels: one that a text has and that was missed, one that was predicted wrongly.

    A text's deepest labels are those without a child among its labels, and so are those of its prediction. A text
    with more than MAX_PAIRS_PER_TEXT pairs does not tell what is taken for what and is left out.

    No more than `capacity` pairs are kept between batches. Beyond it the counts are summarised (Misra and Gries 1982,
    "Finding repeated elements", in the batched form of Agarwal et al. 2012, "Mergeable summaries"): they are then too
    low by at most the number of all pairs divided by `capacity`, so that frequent pairs stay.
    """

    def __init__(self, hierarchy: LabelHierarchy, capacity: int = 50_000) -> None:
        self.hierarchy, self.capacity = hierarchy, capacity
        self._counts: dict[tuple[int, int], int] = {}

    def update(self, actual: np.ndarray, predicted: np.ndarray) -> None:
        """Add a batch: bool [batch, labels] each."""
        missed = actual & ~self.hierarchy.has_child_in(actual) & ~predicted
        wrong = predicted & ~self.hierarchy.has_child_in(predicted) & ~actual
        pairs = missed.sum(axis=1) * wrong.sum(axis=1)
        for row in np.flatnonzero((pairs > 0) & (pairs <= MAX_PAIRS_PER_TEXT)):
            for one in np.flatnonzero(missed[row]).tolist():
                for other in np.flatnonzero(wrong[row]).tolist():
                    self._counts[one, other] = self._counts.get((one, other), 0) + 1
        if len(self._counts) > self.capacity:
            self._summarise()

    def _summarise(self) -> None:
        surplus = sorted(self._counts.values(), reverse=True)[self.capacity]
        self._counts = {pair: count - surplus for pair, count in self._counts.items() if count > surplus}

    def most_common(self, number: int) -> list[ConfusedPair]:
        """The `number` most frequent pairs, most frequent first, in the hierarchy's order where they tie."""
        ranked = sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))[:number]
        labels = self.hierarchy.labels
        return [ConfusedPair(labels[missed], labels[wrong], count) for (missed, wrong), count in ranked]
