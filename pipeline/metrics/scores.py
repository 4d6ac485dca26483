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
        # Per bin: scores, their sum, and how many of them belong to a label that is true.
        self._bin_counts = np.zeros(CALIBRATION_BINS, np.int64)
        self._bin_scores = np.zeros(CALIBRATION_BINS)
        self._bin_actual = np.zeros(CALIBRATION_BINS, np.int64)
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
        self._count_bins(actual, scores)
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

    def _count_bins(self, actual: np.ndarray, scores: np.ndarray) -> None:
        bins = np.minimum((scores * CALIBRATION_BINS).astype(np.intp), CALIBRATION_BINS - 1)
        self._bin_counts += np.bincount(bins.ravel(), minlength=CALIBRATION_BINS)
        self._bin_scores += np.bincount(bins.ravel(), scores.ravel(), CALIBRATION_BINS)
        self._bin_actual += np.bincount(bins[actual], minlength=CALIBRATION_BINS)

    def _count_reached(self, actual: np.ndarray, scores: np.ndarray) -> None:
        rows, labels = np.nonzero(scores >= self.thresholds[0])  # few of them, in most hierarchies
        highest = np.searchsorted(self.thresholds, scores[rows, labels], side="right") - 1
        np.add.at(self._reached, (labels, highest), 1)
        true = actual[rows, labels]
        np.add.at(self._actual_reached, (labels[true], highest[true]), 1)

    def summary(self) -> dict[str, float]:
        """precision_at_1, _3 and _5, and calibration_error; all in [0, 1].

        Precision at k is the share of true labels among the k highest scores of a text (among all where there are
        fewer), averaged over the texts. The calibration error is the expected calibration error (Naeini et al. 2015,
        "Obtaining well calibrated probabilities using Bayesian binning") over the scores of all labels: the distance
        between mean score and share of true labels in each of 15 bins of equal width, weighted by its scores.
        """
        apart = np.abs(self._bin_scores - self._bin_actual).sum() / max(1, self._bin_counts.sum())
        precisions = self._hits_at / max(1, self.texts)
        return {
            **{f"precision_at_{rank}": float(precision) for rank, precision in zip(RANKS, precisions)},
            "calibration_error": float(apart),
        }

    def calibration(self) -> list[dict[str, Any]]:
        """Per bin of the scores: low and high (its ends), confidence (mean score), accuracy (share of true labels)
        and count (scores); both means are 0 where there are none."""
        counts = np.maximum(self._bin_counts, 1)
        columns = {
            "low": np.arange(CALIBRATION_BINS) / CALIBRATION_BINS,
            "high": np.arange(1, CALIBRATION_BINS + 1) / CALIBRATION_BINS,
            "confidence": self._bin_scores / counts,
            "accuracy": self._bin_actual / counts,
            "count": self._bin_counts,
        }
        return [dict(zip(columns, row)) for row in zip(*(column.tolist() for column in columns.values()))]

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
