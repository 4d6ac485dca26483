"""Thresholds and decoding policy chosen on a development set."""

from __future__ import annotations

import numpy as np

from pipeline.errors import InputError
from pipeline.labels.decoding import DEFAULT_THRESHOLD, Decoder, DecodingPolicy, sigmoid
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.metrics.sets import Metrics

MODES = ("fixed", "global", "per_label")
CANDIDATES = np.round(np.arange(0.05, 0.951, 0.05), 2)
MIN_EXAMPLES = 10
"""A label with fewer examples on the development set keeps the threshold of all."""
CONSISTENT_POLICIES = ("ancestors", "top_down", "single_path")


def tune(
    hierarchy: LabelHierarchy, logits: np.ndarray, actual: np.ndarray, mode: str, at_least_one: bool = False
) -> Decoder:
    """The decoder with the best micro F1.

    Args:
        logits: float [texts, labels].
        actual: bool [texts, labels].
        mode: `fixed` gives threshold 0.5 and policy `ancestors`, whatever the texts say. `global` chooses one
            threshold, then one of CONSISTENT_POLICIES. `per_label` chooses a threshold for each label that has
            MIN_EXAMPLES examples, and keeps them only if they are better on texts that they were not chosen on.
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
    """float32 [labels]: of CANDIDATES the one with the best F1 of each label, the nearest to `fallback` of equals.

    Labels with fewer than MIN_EXAMPLES examples get `fallback`.

    Args:
        scores: float [texts, labels] in [0, 1].
        actual: bool [texts, labels].
    """
    nearest_first = np.array(sorted(CANDIDATES, key=lambda threshold: abs(threshold - fallback)), np.float32)
    support = actual.sum(axis=0)
    f1 = np.empty((len(nearest_first), scores.shape[1]))
    for row, threshold in enumerate(nearest_first):
        predicted = scores >= threshold
        f1[row] = 2 * (predicted & actual).sum(axis=0) / np.maximum(predicted.sum(axis=0) + support, 1)
    best = nearest_first[np.argmax(f1, axis=0)]
    return np.where(support >= MIN_EXAMPLES, best, np.float32(fallback))


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
    return tuned.result()["micro_f1"] > plain.result()["micro_f1"]
