"""Metrics of multi-label predictions over a label hierarchy, gathered batch by batch in constant memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.labels.hierarchy import LabelHierarchy

LABEL_COUNTS = "dev_labels"
"""Key of `Metrics.counts` of the development set in what a bundle tells of its data; what is not known is None."""

COUNTED = ("rows", "answered", "right")
"""What `Metrics.counts` counts."""


class Metrics:
    """Counts true and predicted label sets and turns them into scores.

    Precision, recall and F1 are those of scikit-learn's `precision_recall_fscore_support` with `zero_division=0`;
    macro averages run over all labels of the hierarchy, those without an example included. Accuracy is the share
    of texts whose whole label set is right.

    Hierarchical precision, recall and F1 compare the sets with all ancestors added, summed over the texts:
    hP = sum |T & P| / sum |P|, hR = sum |T & P| / sum |T| (Kiritchenko et al. 2005, "Functional annotation of genes
    using hierarchical text categorization"). Constrained micro and macro F1 accept a predicted label as right only
    where all its ancestors are predicted and right as well (C-MicroF1 and C-MacroF1 of Yu et al. 2022, "Constrained
    sequence-to-tree generation for hierarchical text classification"). For consistent sets the former is the micro
    average and the latter are micro and macro F1.
    """

    def __init__(self, hierarchy: LabelHierarchy) -> None:
        self.hierarchy = hierarchy
        self.texts = 0
        self._true_positives = np.zeros(len(hierarchy), np.int64)
        self._predicted = np.zeros(len(hierarchy), np.int64)
        self._actual = np.zeros(len(hierarchy), np.int64)
        self._constrained = np.zeros(len(hierarchy), np.int64)
        self._hierarchical = np.zeros(3, np.int64)
        self._exact = 0
        self._consistent = 0
        self._exact_at_level = np.zeros(hierarchy.depth, np.int64)

    def update(self, actual: np.ndarray, predicted: np.ndarray) -> None:
        """Add a batch: bool [batch, labels] each."""
        self.texts += len(actual)
        right = actual & predicted
        self._true_positives += right.sum(axis=0)
        self._predicted += predicted.sum(axis=0)
        self._actual += actual.sum(axis=0)
        self._constrained += self.hierarchy.cap_descendants(right).sum(axis=0)
        whole_actual, whole_predicted = (self.hierarchy.raise_ancestors(labels) for labels in (actual, predicted))
        self._hierarchical += [
            np.count_nonzero(labels) for labels in (whole_actual & whole_predicted, whole_predicted, whole_actual)
        ]
        wrong = actual ^ predicted
        self._exact += int((~wrong.any(axis=1)).sum())
        self._consistent += int(self.hierarchy.consistent_rows(predicted).sum())
        for level in range(self.hierarchy.depth):
            at_level = wrong[:, self.hierarchy.levels == level + 1]
            self._exact_at_level[level] += int((~at_level.any(axis=1)).sum())

    def result(self) -> dict[str, Any]:
        """Scores in [0, 1].

        Returns:
            texts; micro and macro precision, recall and F1 and accuracy, of all labels and in `levels` per level;
            consistent_share; hierarchical_precision, hierarchical_recall and hierarchical_f1;
            constrained_micro_f1 and constrained_macro_f1.
        """
        everything = np.ones(len(self.hierarchy), bool)
        hierarchical = precision_recall_f1(*self._hierarchical)
        constrained = (self._constrained, self._predicted, self._actual)
        return {
            "texts": self.texts,
            **self._averages(everything, self._exact),
            "consistent_share": _ratio(self._consistent, self.texts),
            **{f"hierarchical_{name}": float(score) for name, score in zip(_NAMES, hierarchical)},
            "constrained_micro_f1": float(precision_recall_f1(*(counts.sum() for counts in constrained))[2]),
            "constrained_macro_f1": float(precision_recall_f1(*constrained)[2].mean()),
            "levels": {
                str(level + 1): self._averages(self.hierarchy.levels == level + 1, int(self._exact_at_level[level]))
                for level in range(self.hierarchy.depth)
            },
        }

    def per_label(self) -> list[dict[str, Any]]:
        """support (texts that have the label), precision, recall and f1 of each label, in the hierarchy's order."""
        scores = precision_recall_f1(self._true_positives, self._predicted, self._actual)
        columns = {"support": self._actual, **dict(zip(_NAMES, scores))}
        return [dict(zip(columns, row)) for row in zip(*(column.tolist() for column in columns.values()))]

    def counts(self) -> dict[str, list[int]]:
        """By label, [labels] each: rows that have it, that are answered with it, and that both is true of."""
        return dict(zip(COUNTED, (each.tolist() for each in (self._actual, self._predicted, self._true_positives))))

    def _averages(self, labels: np.ndarray, exact: int) -> dict[str, float]:
        counts = [c[labels] for c in (self._true_positives, self._predicted, self._actual)]
        micro = [float(score) for score in precision_recall_f1(*(c.sum() for c in counts))]
        macro = [float(score.mean()) for score in precision_recall_f1(*counts)]
        return {
            **{f"micro_{name}": score for name, score in zip(_NAMES, micro)},
            **{f"macro_{name}": score for name, score in zip(_NAMES, macro)},
            "accuracy": _ratio(exact, self.texts),
        }


def known_counts(data: Mapping[str, Any], labels: int) -> dict[str, list[int | None]]:
    """What a bundle's `data` has of LABEL_COUNTS, all of COUNTED, [labels] each: None for what is not known."""
    given = data.get(LABEL_COUNTS)
    counts = given if isinstance(given, dict) else {}
    return {name: _known(counts.get(name), labels) for name in COUNTED}


def _known(counts: Any, labels: int) -> list[int | None]:
    if not isinstance(counts, list) or len(counts) != labels:
        return [None] * labels
    return [count if type(count) is int and count >= 0 else None for count in counts]


_NAMES = ("precision", "recall", "f1")


def precision_recall_f1(
    true_positives: np.ndarray, predicted: np.ndarray, actual: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and F1 of each entry of three arrays of counts, 0 where undefined."""
    precision = true_positives / np.maximum(predicted, 1)
    recall = true_positives / np.maximum(actual, 1)
    f1 = 2 * true_positives / np.maximum(predicted + actual, 1)
    return precision, recall, f1


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
