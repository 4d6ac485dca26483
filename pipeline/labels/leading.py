"""Labels that go before others: they were added without training, and no other label has learnt of their texts.

Ancestors would not let them through, and siblings are certain of what is not theirs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.errors import InputError
from pipeline.labels.hierarchy import LabelHierarchy

_CLEARLY = 1e-4
"""Above the logit of a threshold at least what is lent: sums round."""


class Leading:
    """What labels do for the paths that they end.

    Args:
        hierarchy: the labels, in the order of the logits' columns.
        thresholds: float32 [labels].
        paths: those that lead; there may be none.
        own: float32 [labels], the model's own thresholds, where others were asked for: below these no label leads.

    Raises:
        InputError: one of them is no label.
    """

    def __init__(
        self, hierarchy: LabelHierarchy, thresholds: np.ndarray, paths: Sequence[str], own: np.ndarray | None = None
    ) -> None:
        if unknown := set(paths) - set(hierarchy.index):
            raise InputError(f"leading names {min(unknown)!r:.40}, which is no label")
        self._hierarchy, self._columns = hierarchy, [hierarchy.index[path] for path in paths]
        self.own = thresholds if own is None else own
        self._needed = np.log(thresholds / (1 - thresholds))
        least = np.maximum(thresholds, self.own)[self._columns]
        self._least = np.log(least / (1 - least))

    def lent(self, logits: np.ndarray) -> np.ndarray:
        """The logits, float32 [batch, labels], those of ancestors as far above thresholds as what leads to them."""
        if not self._columns:
            return logits
        margins = logits - self._needed
        own, led = margins[:, self._columns], np.full_like(margins, -np.inf)
        led[:, self._columns] = np.where(self._leads(logits), np.maximum(own, _CLEARLY), -np.inf)
        led = self._hierarchy.raise_ancestors(led)
        return np.where(led > margins, led + self._needed, logits)

    def credited(self, scores: np.ndarray) -> np.ndarray:
        """The scores, float32 [batch, labels], those of ancestors no lower than that of what leads to them: if it is
        right, so are they."""
        if not self._columns:
            return scores
        led = np.zeros_like(scores)
        own = scores[:, self._columns]
        led[:, self._columns] = np.where(own >= self.own[self._columns], own, 0)
        return np.maximum(scores, self._hierarchy.raise_ancestors(led))

    def before_others(self, ends: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """Of the labels in which paths end, bool [batch, labels], those that lead by these logits, or below one
        that does; all where there are none."""
        if not self._columns:
            return ends
        led = np.zeros_like(ends)
        led[:, self._columns] = self._leads(logits)
        led = ends & self._hierarchy.with_descendants(led)
        return np.where(led.any(axis=1, keepdims=True), led, ends)

    def _leads(self, logits: np.ndarray) -> np.ndarray:
        return logits[:, self._columns] >= self._least
