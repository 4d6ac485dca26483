"""Metrics of scores rather than label sets: ranking, calibration, and what each threshold would give.

All are gathered batch by batch. The memory grows with the labels and the thresholds, never with the texts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.metrics.sets import precision_recall_f1

RANKS = (1, 3, 5)
CALIBRATION_BINS = 15
THRESHOLDS = np.arange(1, 100, dtype=np.float32) / np.float32(100)


class Reliability:
    """How often scores are right, in bins of equal width: what they should be themselves, if they were calibrated."""

    def __init__(self) -> None:
        # Per bin: scores, their sum, and how many of them belong to a label that is true.
        self._counts = np.zeros(CALIBRATION_BINS, np.int64)
        self._scores = np.zeros(CALIBRATION_BINS)
        self._actual = np.zeros(CALIBRATION_BINS, np.int64)

    def update(self, actual: np.ndarray, scores: np.ndarray) -> None:
        """Add bool and float32 in [0, 1], of one shape."""
        bins = np.minimum((scores * CALIBRATION_BINS).astype(np.intp), CALIBRATION_BINS - 1)
        self._counts += np.bincount(bins.ravel(), minlength=CALIBRATION_BINS)
        self._scores += np.bincount(bins.ravel(), scores.ravel(), CALIBRATION_BINS)
        self._actual += np.bincount(bins[actual], minlength=CALIBRATION_BINS)

    def error(self) -> float:
        """The expected calibration error (Naeini et al. 2015, "Obtaining well calibrated probabilities using Bayesian
        binning"), in [0, 1]: the distance between mean score and share of true labels, weighted by a bin's scores."""
        return float(np.abs(self._scores - self._actual).sum() / max(1, self._counts.sum()))

    def table(self) -> list[dict[str, Any]]:
        """Per bin of the scores: low and high (its ends), confidence (mean score), accuracy (share of true labels)
        and count (scores); both means are 0 where there are none."""
        counts = np.maximum(self._counts, 1)
        columns = {
            "low": np.arange(CALIBRATION_BINS) / CALIBRATION_BINS,
            "high": np.arange(1, CALIBRATION_BINS + 1) / CALIBRATION_BINS,
            "confidence": self._scores / counts,
            "accuracy": self._actual / counts,
            "count": self._counts,
        }
        return [dict(zip(columns, row)) for row in zip(*(column.tolist() for column in columns.values()))]


class ScoreMetrics:
    """Compares the scores of every label with the true label sets.

    Args:
        labels: how many there are.
        thresholds: float [thresholds], ascending, in (0, 1): where the threshold curve is measured.
    """

    def __init__(self, labels: int, thresholds: np.ndarray = THRESHOLDS) -> None:
        self.texts = 0
        self.thresholds = np.asarray(thresholds, np.float32)
        self._hits_at = np.zeros(len(RANKS))
        self._reliability = Reliability()
        # [labels, thresholds]: in column t the scores that reach threshold t and not the next one.
        self._reached = np.zeros((labels, len(self.thresholds)), np.int64)
        self._actual_reached = np.zeros_like(self._reached)
        self._actual = np.zeros(labels, np.int64)

    def update(self, actual: np.ndarray, scores: np.ndarray) -> None:
        """Add a batch: bool [batch, labels] and float32 [batch, labels] in [0, 1]."""
        if not len(actual):
            return
        self.texts += len(actual)
        self._actual += actual.sum(axis=0)
        self._count_hits(actual, scores)
        self._reliability.update(actual, scores)
        self._count_reached(actual, scores)

    def _count_hits(self, actual: np.ndarray, scores: np.ndarray) -> None:
        most = min(max(RANKS), scores.shape[1])
        highest = np.sort(np.partition(scores, -most, axis=1)[:, -most:], axis=1)
        for place, rank in enumerate(RANKS):
            k = min(rank, most)
            least = highest[:, -k, None]
            above, tied = scores > least, scores == least
            # Labels that tie for the last places share them: what a random order of them gives on average.
            share = (k - above.sum(axis=1)) / tied.sum(axis=1)
            hits = (actual & above).sum(axis=1) + share * (actual & tied).sum(axis=1)
            self._hits_at[place] += hits.sum() / k

    def _count_reached(self, actual: np.ndarray, scores: np.ndarray) -> None:
        rows, labels = np.nonzero(scores >= self.thresholds[0])  # few of them, in most hierarchies
        highest = np.searchsorted(self.thresholds, scores[rows, labels], side="right") - 1
        np.add.at(self._reached, (labels, highest), 1)
        true = actual[rows, labels]
        np.add.at(self._actual_reached, (labels[true], highest[true]), 1)

    def summary(self) -> dict[str, float]:
        """precision_at_1, _3 and _5, and calibration_error; all in [0, 1].

        Precision at k is the share of true labels among the k highest scores of a text (among all where there are
        fewer), averaged over the texts. The calibration error is of the scores of all labels, see `Reliability`.
        """
        precisions = self._hits_at / max(1, self.texts)
        return {
            **{f"precision_at_{rank}": float(precision) for rank, precision in zip(RANKS, precisions)},
            "calibration_error": self._reliability.error(),
        }

    def calibration(self) -> list[dict[str, Any]]:
        """The scores' `Reliability.table`."""
        return self._reliability.table()

    def threshold_curve(self) -> dict[str, list[float]]:
        """Micro and macro precision, recall and F1 if every label whose score reaches a threshold were predicted.

        Returns:
            Lists of one length: thresholds, micro_precision, micro_recall, micro_f1, macro_precision, macro_recall
            and macro_f1. No decoding policy is applied, and all labels have the same threshold.
        """
        predicted, right = (
            np.cumsum(counts[:, ::-1], axis=1)[:, ::-1] for counts in (self._reached, self._actual_reached)
        )
        micro = precision_recall_f1(right.sum(axis=0), predicted.sum(axis=0), self._actual.sum())
        macro = [score.mean(axis=0) for score in precision_recall_f1(right, predicted, self._actual[:, None])]
        names = ("precision", "recall", "f1")
        return {
            "thresholds": [round(threshold, 6) for threshold in self.thresholds.tolist()],
            **{f"micro_{name}": score.tolist() for name, score in zip(names, micro)},
            **{f"macro_{name}": score.tolist() for name, score in zip(names, macro)},
        }
