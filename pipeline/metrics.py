"""Metrics of multi-label predictions over a label hierarchy, gathered batch by batch in constant memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.hierarchy import LabelHierarchy


class Metrics:
    """Counts true and predicted label sets and turns them into scores.

    Precision, recall and F1 are those of scikit-learn's `precision_recall_fscore_support` with `zero_division=0`;
    macro averages run over all labels of the hierarchy, those without an example included. Accuracy is the share
    of texts whose whole label set is right.
    """

    def __init__(self, hierarchy: LabelHierarchy) -> None:
        self.hierarchy = hierarchy
        self.texts = 0
        self._true_positives = np.zeros(len(hierarchy), np.int64)
        self._predicted = np.zeros(len(hierarchy), np.int64)
        self._actual = np.zeros(len(hierarchy), np.int64)
        self._exact = 0
        self._consistent = 0
        self._exact_at_level = np.zeros(hierarchy.depth, np.int64)

    def update(self, actual: np.ndarray, predicted: np.ndarray) -> None:
        """Add a batch: bool [batch, labels] each."""
        self.texts += len(actual)
        self._true_positives += (actual & predicted).sum(axis=0)
        self._predicted += predicted.sum(axis=0)
        self._actual += actual.sum(axis=0)
        wrong = actual ^ predicted
        self._exact += int((~wrong.any(axis=1)).sum())
        self._consistent += int(self.hierarchy.consistent_rows(predicted).sum())
        for level in range(self.hierarchy.depth):
            at_level = wrong[:, self.hierarchy.levels == level + 1]
            self._exact_at_level[level] += int((~at_level.any(axis=1)).sum())

    def result(self) -> dict[str, Any]:
        """Scores in [0, 1]: micro and macro averages, accuracy, consistent_share, and the same per level."""
        everything = np.ones(len(self.hierarchy), bool)
        return {
            "texts": self.texts,
            **self._averages(everything, self._exact),
            "consistent_share": _ratio(self._consistent, self.texts),
            "levels": {
                str(level + 1): self._averages(self.hierarchy.levels == level + 1, int(self._exact_at_level[level]))
                for level in range(self.hierarchy.depth)
            },
        }

    def _averages(self, labels: np.ndarray, exact: int) -> dict[str, float]:
        counts = [c[labels] for c in (self._true_positives, self._predicted, self._actual)]
        micro = [float(score) for score in _scores(*(np.array(c.sum()) for c in counts))]
        macro = [float(score.mean()) for score in _scores(*counts)]
        names = ("precision", "recall", "f1")
        return {
            **{f"micro_{name}": score for name, score in zip(names, micro)},
            **{f"macro_{name}": score for name, score in zip(names, macro)},
            "accuracy": _ratio(exact, self.texts),
        }


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _scores(true_positives: np.ndarray, predicted: np.ndarray, actual: np.ndarray) -> tuple[np.ndarray, ...]:
    """Precision, recall and F1 of each entry, 0 where undefined."""
    precision = true_positives / np.maximum(predicted, 1)
    recall = true_positives / np.maximum(actual, 1)
    f1 = 2 * true_positives / np.maximum(predicted + actual, 1)
    return precision, recall, f1
