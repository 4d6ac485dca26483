from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.metrics.confused_pairs import MAX_PAIRS_PER_TEXT, ConfusedPairs

LABELS = LabelHierarchy(["人生", "人生##死亡", "人生##离婚", "灾害", "灾害##车祸", "灾害##死亡"])


def pairs(*rows, hierarchy=LABELS, **options):
    """The pairs of rows of (true paths, predicted paths)."""
    confused = ConfusedPairs(hierarchy, **options)
    for actual, predicted in rows:
        confused.update(
            *(hierarchy.matrix([[hierarchy.index[path] for path in paths]]) for paths in (actual, predicted))
        )
    return [(pair.missed, pair.predicted, pair.count) for pair in confused.most_common(10)]


@pytest.mark.parametrize(
    ("actual", "predicted", "expected"),
    [
        (["人生", "人生##死亡"], ["灾害", "灾害##死亡"], [("人生##死亡", "灾害##死亡", 1)]),
        (["人生", "人生##死亡"], ["人生", "人生##离婚"], [("人生##死亡", "人生##离婚", 1)]),
        (["人生", "人生##死亡"], ["灾害"], [("人生##死亡", "灾害", 1)]),
        (["人生", "人生##死亡"], ["人生"], []),  # nothing was predicted in its place
        (["人生"], ["人生", "人生##离婚"], []),  # nothing was missed
        (["人生", "人生##死亡"], [], []),
        (["人生", "人生##死亡"], ["人生", "人生##死亡"], []),
        (
            ["人生", "人生##死亡", "灾害", "灾害##车祸"],
            ["人生", "人生##离婚", "灾害", "灾害##死亡"],
            [
                ("人生##死亡", "人生##离婚", 1),
                ("人生##死亡", "灾害##死亡", 1),
                ("灾害##车祸", "人生##离婚", 1),
                ("灾害##车祸", "灾害##死亡", 1),
            ],
        ),
    ],
)
def test_deepest_labels_are_paired(actual, predicted, expected):
    assert pairs((actual, predicted)) == expected


def test_the_most_frequent_pair_comes_first():
    rows = [(["人生"], ["灾害"]), (["灾害"], ["人生"]), (["灾害"], ["人生"])]
    assert pairs(*rows) == [("灾害", "人生", 2), ("人生", "灾害", 1)]


def test_a_text_that_got_every_other_label_tells_nothing():
    flat = LabelHierarchy([str(number) for number in range(MAX_PAIRS_PER_TEXT + 2)])
    assert pairs((["0"], flat.labels[1:]), hierarchy=flat) == []
    assert len(pairs((["0"], flat.labels[1:10]), hierarchy=flat)) == 9


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=60), st.integers(1, 5))
def test_memory_is_bounded_and_frequent_pairs_stay(drawn, capacity):
    flat = LabelHierarchy([str(number) for number in range(10)])
    expected = Counter(pair for pair in drawn if pair[0] != pair[1])
    confused = ConfusedPairs(flat, capacity)
    for start in range(0, len(drawn), 7):
        actual, predicted = (flat.matrix([[pair[side]] for pair in drawn[start : start + 7]]) for side in (0, 1))
        confused.update(actual, predicted)
    found = {(int(pair.missed), int(pair.predicted)): pair.count for pair in confused.most_common(100)}
    assert len(found) <= capacity
    slack = sum(expected.values()) // (capacity + 1) if len(expected) > capacity else 0
    for pair, count in expected.items():
        assert count - slack <= found.get(pair, 0) <= count


def test_one_frequent_pair_stands_out_of_many_rare_ones():
    flat = LabelHierarchy([str(number) for number in range(500)])
    confused = ConfusedPairs(flat, capacity=100)
    often = flat.matrix([[0]] * 500)
    for shift in range(1, 40):
        confused.update(flat.matrix([[n] for n in range(500)]), np.roll(np.eye(500, dtype=bool), shift, axis=1))
        confused.update(often, flat.matrix([[499]] * 500))
    first = confused.most_common(1)[0]
    assert (first.missed, first.predicted) == ("0", "499")
    assert len(confused.most_common(1000)) <= 100
