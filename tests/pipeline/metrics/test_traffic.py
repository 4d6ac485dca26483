"""Traffic held against the development set: what is expected, what is seen, and how far it has shifted."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from pipeline.labels.decoding import Decoder
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.metrics.traffic import (
    MOST_BINS,
    NO_LABEL,
    OTHERS,
    TEXT_LENGTH,
    TOP_LABEL,
    TOP_SCORE,
    UNKNOWN_SHARE,
    answer_bins,
    expected_texts,
    expected_traffic,
    seen_texts,
    seen_traffic,
    shift,
    text_bins,
)

LABELS = LabelHierarchy(["a", "a##b", "c"])


def decoded(*scores, hierarchy=LABELS):
    values = np.array(scores, np.float64)
    return Decoder(hierarchy).decode(np.log(values / (1 - values)))


def test_texts_are_counted_by_highest_score_and_by_the_surest_label_of_the_first_level():
    expected = expected_traffic(decoded([0.1, 0.92, 0.6], [0.2, 0.3, 0.7], [0.2, 0.3, 0.4], [0.95, 0.1, 0.1]))
    assert expected[TOP_LABEL] == {"a": 2, "c": 1, NO_LABEL: 1, OTHERS: 0}
    assert {part: count for part, count in expected[TOP_SCORE].items() if count} == {"0.4": 1, "0.7": 1, "1.0": 2}
    seen = list(seen_traffic(decoded([0.1, 0.92, 0.6], [0.2, 0.3, 0.4]), expected))
    assert sorted(seen) == [(TOP_LABEL, NO_LABEL, 1), (TOP_LABEL, "a", 1), (TOP_SCORE, "0.4", 1), (TOP_SCORE, "1.0", 1)]


def test_of_many_labels_the_frequent_ones_are_told_apart():
    wide = LabelHierarchy([f"l{number}" for number in range(60)])
    rows = [[0.9 if column == number else 0.1 for column in range(60)] for number in (*range(60), *range(30))]
    expected = expected_traffic(decoded(*rows, hierarchy=wide))[TOP_LABEL]
    assert len(expected) == MOST_BINS + 2 and expected["l0"] == 2 and sum(expected.values()) == 90
    seen = list(seen_traffic(decoded(rows[59], rows[58], rows[0], hierarchy=wide), {TOP_LABEL: expected}))
    assert sorted(seen) == [(TOP_LABEL, OTHERS, 2), (TOP_LABEL, "l0", 1)]


def test_texts_without_a_label_are_counted_however_few_they_are():
    """40 labels on 49 texts each and 2 % of texts without one: the texts that they are held against are the same."""
    wide = LabelHierarchy([f"l{number}" for number in range(40)])
    rows = [[0.9 if column == number else 0.1 for column in range(40)] for number in [*range(40)] * 49 + [-1] * 40]
    texts = decoded(*rows, hierarchy=wide)
    expected = expected_traffic(texts)[TOP_LABEL]
    assert len(expected) == MOST_BINS + 2 and expected[NO_LABEL] == 40 and expected[OTHERS] == 20 * 49
    seen = {part: count for _, part, count in seen_traffic(texts, {TOP_LABEL: expected})}
    assert seen == expected and shift(expected, seen) < 0


def test_texts_are_counted_by_length_and_by_tokens_that_are_unknown():
    texts = ["a", "b" * 8, "c" * 9, "d" * 5000, "e"]
    ids = [np.array([1, *inner, 2]) for inner in ([5], [0, 5], [0] * 3, [0] + [5] * 99, [])]
    expected = expected_texts(text_bins(texts, ids, unknown_id=0))
    assert {part: count for part, count in expected[TEXT_LENGTH].items() if count} == {"8": 3, "16": 1, "200000": 1}
    assert expected[UNKNOWN_SHARE] == {"0": 2, "0.02": 1, "0.05": 0, "0.1": 0, "0.2": 0, "0.5": 1, "1": 1}
    seen = list(seen_texts(text_bins(["x" * 100, "y"], ids[:2], unknown_id=0), expected))
    assert sorted(seen) == [
        *((TEXT_LENGTH, "128", 1), (TEXT_LENGTH, "8", 1)),
        *((UNKNOWN_SHARE, "0", 1), (UNKNOWN_SHARE, "0.5", 1)),
    ]
    # A model of n-grams reads no tokens, and a bundle of an earlier release expects nothing of texts.
    assert list(text_bins(texts, ids, None)) == [TEXT_LENGTH] and not list(seen_texts(text_bins(texts, ids, 0), {}))


def test_a_shift_is_what_the_rules_of_the_monitoring_compute():
    """The same numbers as in alerts_test.yml."""
    expected = {"a": 600, "b": 380, NO_LABEL: 20, OTHERS: 0}
    assert shift(expected, {"a": 690, "b": 438, NO_LABEL: 72}) == pytest.approx(0.039, abs=5e-4)
    assert shift(expected, {"a": 60, "b": 60, NO_LABEL: 480}) == pytest.approx(4.104, abs=5e-4)


def test_chance_is_no_shift_and_a_fifth_of_other_texts_is_one():
    random, shares = np.random.default_rng(0), np.array([0.4, 0.3, 0.15, 0.1, 0.05])
    names = list("abcde")

    def drawn(texts, foreign=0):
        return Counter(dict(zip(names, random.multinomial(texts - foreign, shares) + np.array([0, 0, 0, 0, foreign]))))

    expected = dict(drawn(1200))
    assert max(shift(expected, drawn(1000)) for _ in range(500)) < 0.05
    assert min(shift(expected, drawn(1000, foreign=200)) for _ in range(500)) > 0.05
    assert abs(np.mean([shift(dict(drawn(300)), drawn(300)) for _ in range(500)])) < 0.005


def test_of_answers_each_text_is_in_the_bin_that_it_is_counted_in():
    rng = np.random.default_rng(0)
    texts = decoded(*rng.uniform(0.02, 0.98, (200, 3)), [0.1, 0.2, 0.1], [0.5, 0.1, 0.9])
    answers = Decoder(LABELS).told(texts, [False] * 202)
    counted = {feature: Counter(bins.tolist()) for feature, bins in answer_bins(answers, texts.scores).items()}
    expected = expected_traffic(texts)
    assert {feature: +Counter(bins) for feature, bins in expected.items()} == counted
    assert counted[TOP_LABEL][NO_LABEL] > 0
