"""Thresholds and decoding policy chosen on a development set."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.errors import InputError
from pipeline.labels.decoding import DEFAULT_THRESHOLD, Decoder, DecodingPolicy, sigmoid
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.metrics.sets import Metrics

MODES = ("fixed", "global", "per_label")
CANDIDATES = np.round(np.arange(0.05, 0.951, 0.05), 2)
PRIOR_EXAMPLES = 20
"""Of all labels, that stand beside each label's own when its threshold is chosen."""
CONSISTENT_POLICIES = ("ancestors", "top_down", "single_path")


def tune(
    hierarchy: LabelHierarchy, logits: np.ndarray, actual: np.ndarray, mode: str, at_least_one: bool = False
) -> Decoder:
    """The decoder with the best micro F1.

    Args:
        logits: float [texts, labels].
        actual: bool [texts, labels].
        mode: `fixed` gives threshold 0.5 and policy `ancestors`, whatever the texts say. `global` chooses one
            threshold, then one of CONSISTENT_POLICIES. `per_label` chooses a threshold for each label, and
            keeps them only if micro and macro F1 are better together on texts that they were not chosen on.
        at_least_one: whether the decoder gives every text a label. It is never chosen by scores: a development set
            in which every text has a label says nothing of texts that belong nowhere.

    Raises:
        InputError: an unknown mode.
    """
    if mode not in MODES:
        raise InputError(f"unknown thresholds {mode!r}; choose one of {', '.join(MODES)}")
    if mode == "fixed":
        return Decoder(hierarchy, policy=DecodingPolicy(at_least_one=at_least_one))
    threshold = _best_threshold(hierarchy, logits, actual)
    thresholds: np.ndarray | float = threshold
    if mode == "per_label" and _generalises(hierarchy, logits, actual, threshold):
        thresholds = per_label_thresholds(sigmoid(logits), actual, threshold)
    policies = (DecodingPolicy(policy, at_least_one) for policy in CONSISTENT_POLICIES)
    decoders = [Decoder(hierarchy, thresholds, policy) for policy in policies]
    return max(decoders, key=lambda decoder: micro_f1(decoder, logits, actual))


def tuned_scores(
    hierarchy: LabelHierarchy, logits: np.ndarray, actual: np.ndarray, mode: str, at_least_one: bool = False
) -> tuple[dict[str, Any], Decoder]:
    """Scores as in `pipeline.metrics.sets.Metrics.result`, and the decoder that gave them, chosen by `tune`."""
    decoder = tune(hierarchy, logits, actual, mode, at_least_one)
    metrics = Metrics(hierarchy)
    metrics.update(actual, decoder.decode(logits).selected)
    return metrics.result(), decoder


def micro_f1(decoder: Decoder, logits: np.ndarray, actual: np.ndarray) -> float:
    """Micro F1 of the label sets that `decoder` makes of the logits."""
    metrics = Metrics(decoder.hierarchy)
    metrics.update(actual, decoder.decode(logits).selected)
    return metrics.result()["micro_f1"]


def _best_threshold(hierarchy: LabelHierarchy, logits: np.ndarray, actual: np.ndarray) -> float:
    # Of equally good ones the nearest to the default.
    nearest_first = sorted(map(float, CANDIDATES), key=lambda threshold: abs(threshold - DEFAULT_THRESHOLD))
    return max(nearest_first, key=lambda threshold: micro_f1(Decoder(hierarchy, threshold), logits, actual))


def per_label_thresholds(scores: np.ndarray, actual: np.ndarray, fallback: float) -> np.ndarray:
    """float32 [labels]: of CANDIDATES the best by each label's smoothed F1, the nearest to `fallback` of equals.

    To a label's own examples come PRIOR_EXAMPLES that are predicted as those of all labels are on average, so that few
    decide little: F1 = 2 (TP + s P) / (predicted + s Q + actual + s), P and Q being true positives and predictions per
    example of all labels (after the smoothing of Lin and Lin 2023, "On the thresholding strategy for infrequent labels
    in multi-label classification").

    Args:
        scores: float [texts, labels] in [0, 1].
        actual: bool [texts, labels].
    """
    nearest_first = np.array(sorted(CANDIDATES, key=lambda threshold: abs(threshold - fallback)), np.float32)
    support = actual.sum(axis=0)
    f1 = np.empty((len(nearest_first), scores.shape[1]))
    for row, threshold in enumerate(nearest_first):
        chosen = scores >= threshold
        right, predicted = (chosen & actual).sum(axis=0), chosen.sum(axis=0)
        of_all = PRIOR_EXAMPLES / max(1, support.sum())
        f1[row] = 2 * (right + of_all * right.sum()) / (predicted + of_all * predicted.sum() + support + PRIOR_EXAMPLES)
    return nearest_first[np.argmax(f1, axis=0)]


def _generalises(hierarchy: LabelHierarchy, logits: np.ndarray, actual: np.ndarray, threshold: float) -> bool:
    """Whether thresholds per label, chosen on one half of the texts, beat `threshold` on the other half, both ways."""
    halves = np.arange(len(logits)) % 2
    plain, tuned = Metrics(hierarchy), Metrics(hierarchy)
    for half in (0, 1):
        chosen_on, judged_on = halves == half, halves != half
        thresholds = per_label_thresholds(sigmoid(logits[chosen_on]), actual[chosen_on], threshold)
        for metrics, values in ((plain, threshold), (tuned, thresholds)):
            decoder = Decoder(hierarchy, values)
            metrics.update(actual[judged_on], decoder.decode(logits[judged_on]).selected)
    own, one = (metrics.result() for metrics in (tuned, plain))
    return own["micro_f1"] + own["macro_f1"] > one["micro_f1"] + one["macro_f1"]
