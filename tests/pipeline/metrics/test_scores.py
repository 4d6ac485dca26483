import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import precision_recall_fscore_support

from pipeline.labels.decoding import Decoder, DecodingPolicy, sigmoid
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.metrics.scores import ScoreMetrics
from pipeline.metrics.sets import Metrics

# Multiples of 1/64 are exact in float32 and tie often.
SCORES = st.integers(0, 64).map(lambda part: part / 64)


def labelled_scores(labels):
    """True sets, bool, and scores, float32: both [1 to 6, labels]."""
    rows = st.integers(1, 6)
    return rows.flatmap(
        lambda n: st.tuples(arrays(bool, (n, labels)), arrays(np.float32, (n, labels), elements=SCORES))
    )


def measured(actual, scores, batch=2, **options):
    metrics = ScoreMetrics(actual.shape[1], **options)
    for start in range(0, len(actual), batch):
        metrics.update(actual[start : start + batch], scores[start : start + batch])
    return metrics


def test_precision_at_k_of_two_texts():
    actual = np.array([[True, False, True, False, False, True], [False, True, False, False, False, False]])
    scores = np.array([[0.9, 0.8, 0.7, 0.3, 0.2, 0.1], [0.9, 0.8, 0.7, 0.3, 0.2, 0.1]], np.float32)
    summary = measured(actual, scores).summary()
    assert summary["precision_at_1"] == pytest.approx((1 + 0) / 2)
    assert summary["precision_at_3"] == pytest.approx((2 / 3 + 1 / 3) / 2)
    assert summary["precision_at_5"] == pytest.approx((2 / 5 + 1 / 5) / 2)


@given(labelled_scores(labels=4))
def test_precision_at_k_is_the_mean_over_all_orders_of_ties(drawn):
    actual, scores = drawn
    summary = measured(actual, scores).summary()
    orders = [np.array(order) for order in itertools.permutations(range(4))]
    for rank in (1, 3, 5):
        k = min(rank, 4)
        expected = np.mean(
            [
                truth[order[np.argsort(-row[order], kind="stable")]][:k].mean()
                for truth, row in zip(actual, scores)
                for order in orders
            ]
        )
        assert summary[f"precision_at_{rank}"] == pytest.approx(expected)


@given(labelled_scores(labels=3))
def test_calibration_follows_its_definition(drawn):
    actual, scores = drawn
    metrics = measured(actual, scores)
    table = metrics.calibration()
    assert sum(part["count"] for part in table) == actual.size
    error = 0.0
    for number, part in enumerate(table):
        last = number == len(table) - 1
        inside = (scores >= part["low"]) & ((scores < part["high"]) | last)
        assert part["count"] == inside.sum()
        if part["count"]:
            assert part["confidence"] == pytest.approx(scores[inside].mean())
            assert part["accuracy"] == pytest.approx(actual[inside].mean())
            error += inside.mean() * abs(scores[inside].mean() - actual[inside].mean())
    assert metrics.summary()["calibration_error"] == pytest.approx(error, abs=1e-6)


def test_scores_that_mean_what_they_say_are_calibrated():
    random = np.random.default_rng(3)
    scores = random.random((20_000, 5), np.float32)
    actual = random.random((20_000, 5)) < scores
    assert measured(actual, scores, 1000).summary()["calibration_error"] < 0.01
    assert measured(actual, scores**3, 1000).summary()["calibration_error"] > 0.2


@given(labelled_scores(labels=4))
def test_the_threshold_curve_is_that_of_scikit_learn(drawn):
    actual, scores = drawn
    thresholds = np.array([0.125, 0.25, 0.5, 0.75])
    curve = measured(actual, scores, thresholds=thresholds).threshold_curve()
    assert curve["thresholds"] == thresholds.tolist()
    for average, (place, threshold) in itertools.product(("micro", "macro"), enumerate(thresholds)):
        predicted = scores >= threshold
        expected = precision_recall_fscore_support(actual, predicted, average=average, zero_division=0)[:3]
        found = [curve[f"{average}_{name}"][place] for name in ("precision", "recall", "f1")]
        assert found == pytest.approx(expected)


@pytest.mark.parametrize("threshold", [0.01, 0.37, 0.5, 0.7, 0.99])
def test_the_curve_stands_for_what_a_decoder_would_do(threshold):
    hierarchy = LabelHierarchy(["a", "a##b", "c"])
    random = np.random.default_rng(3)
    actual, logits = random.random((500, 3)) < 0.5, random.normal(0, 4, (500, 3)).astype(np.float32)
    logits[:50] = np.log(threshold / (1 - threshold))  # scores beside the threshold or on it
    decoder = Decoder(hierarchy, threshold, DecodingPolicy("threshold"))
    metrics = Metrics(hierarchy)
    metrics.update(actual, decoder.decode(logits).selected)
    curve = measured(actual, sigmoid(logits)).threshold_curve()
    place = curve["thresholds"].index(threshold)
    result = metrics.result()
    for name in ("micro_f1", "macro_f1", "micro_precision", "micro_recall"):
        assert curve[name][place] == pytest.approx(result[name])


def test_nothing_scored_gives_zeros():
    metrics = ScoreMetrics(3)
    metrics.update(np.zeros((0, 3), bool), np.zeros((0, 3), np.float32))
    assert set(metrics.summary().values()) == {0.0}
    assert set(metrics.threshold_curve()["micro_f1"]) == {0.0}
    assert {part["count"] for part in metrics.calibration()} == {0}
