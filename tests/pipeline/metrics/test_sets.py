import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support

from pipeline.labels.hierarchy import LabelHierarchy, ancestor_paths
from pipeline.metrics.sets import Metrics

LABELS = LabelHierarchy(["a", "a##b", "a##c", "d", "d##e"])
DEEP = LabelHierarchy(["b##x##y", "a", "a##x", "a##x##y", "a##z", "b", "b##x"])
PAIRS = st.integers(1, 8).flatmap(lambda rows: arrays(bool, (2, rows, len(DEEP))))


def random_rows(rows):
    generator = np.random.default_rng(3)
    return (generator.random((2, rows, 5)) < 0.4).astype(bool)


def measured(hierarchy, actual, predicted, batch=3):
    metrics = Metrics(hierarchy)
    for start in range(0, len(actual), batch):
        metrics.update(actual[start : start + batch], predicted[start : start + batch])
    return metrics


@pytest.mark.parametrize("average", ["micro", "macro"])
def test_scores_are_those_of_scikit_learn(average):
    actual, predicted = random_rows(200)
    actual[:, 2] = False  # a label without an example
    result = measured(LABELS, actual, predicted, batch=64).result()
    expected = precision_recall_fscore_support(actual, predicted, average=average, zero_division=0)
    assert [result[f"{average}_{name}"] for name in ("precision", "recall", "f1")] == pytest.approx(expected[:3])
    assert result["accuracy"] == accuracy_score(actual, predicted)
    level = LABELS.levels == 2
    expected = precision_recall_fscore_support(actual[:, level], predicted[:, level], average=average, zero_division=0)
    assert result["levels"]["2"][f"{average}_f1"] == pytest.approx(expected[2])
    assert result["levels"]["2"]["accuracy"] == accuracy_score(actual[:, level], predicted[:, level])


def test_each_label_has_its_scores():
    actual, predicted = random_rows(50)
    actual[:, 2] = predicted[:, 4] = False
    expected = np.array(precision_recall_fscore_support(actual, predicted, average=None, zero_division=0)).T
    for label, (precision, recall, f1, support) in zip(measured(LABELS, actual, predicted).per_label(), expected):
        assert label == pytest.approx({"support": support, "precision": precision, "recall": recall, "f1": f1})
        assert isinstance(label["support"], int)


def test_an_inconsistent_prediction():
    """The deep label is right, and its parent is missing: each kind of score sees something else in it."""
    result = measured(LABELS, LABELS.matrix([[0, 1]]), LABELS.matrix([[1]])).result()
    assert result["micro_f1"] == pytest.approx(2 / 3)
    assert result["constrained_micro_f1"] == 0  # a label below a wrong one is wrong
    assert result["hierarchical_f1"] == 1  # the parent is understood
    assert result["consistent_share"] == 0


def test_a_wrong_branch_costs_less_than_a_wrong_tree():
    actual = LABELS.matrix([[0, 1]])
    near = measured(LABELS, actual, LABELS.matrix([[0, 2]])).result()
    far = measured(LABELS, actual, LABELS.matrix([[3, 4]])).result()
    assert [near[f"hierarchical_{name}"] for name in ("precision", "recall", "f1")] == [0.5, 0.5, 0.5]
    assert far["hierarchical_f1"] == 0


@given(PAIRS)
def test_hierarchical_scores_follow_their_definition(pair):
    """Kiritchenko et al. 2005, with sets of paths."""

    def whole(row):
        paths = [path for path, selected in zip(DEEP.labels, row) if selected]
        return {*paths, *(ancestor for path in paths for ancestor in ancestor_paths(path))}

    actual, predicted = ([whole(row) for row in rows] for rows in pair)
    both = sum(len(one & other) for one, other in zip(actual, predicted))
    precision = both / max(1, sum(map(len, predicted)))
    recall = both / max(1, sum(map(len, actual)))
    f1 = 2 * precision * recall / (precision + recall) if both else 0
    result = measured(DEEP, *pair).result()
    names = ("hierarchical_precision", "hierarchical_recall", "hierarchical_f1")
    assert [result[name] for name in names] == pytest.approx([precision, recall, f1])


@given(PAIRS)
def test_constrained_scores_follow_their_definition(pair):
    """Yu et al. 2022, label by label and row by row: right only below labels that are right."""
    counts = {path: [0, 0, 0] for path in DEEP.labels}  # true positives, predicted, actual
    for actual, predicted in zip(*pair):
        right = {path for path, one, other in zip(DEEP.labels, actual, predicted) if one and other}
        for path, one, other in zip(DEEP.labels, actual, predicted):
            counts[path][0] += path in right and right.issuperset(ancestor_paths(path))
            counts[path][1] += int(other)
            counts[path][2] += int(one)

    def f1(true_positives, predicted, actual):
        return 2 * true_positives / (predicted + actual) if predicted + actual else 0

    result = measured(DEEP, *pair).result()
    assert result["constrained_micro_f1"] == pytest.approx(f1(*np.sum(list(counts.values()), axis=0)))
    assert result["constrained_macro_f1"] == pytest.approx(np.mean([f1(*label) for label in counts.values()]))


@given(PAIRS)
def test_for_consistent_sets_the_scores_agree(pair):
    actual, predicted = (DEEP.raise_ancestors(rows) for rows in pair)
    result = measured(DEEP, actual, predicted).result()
    assert result["consistent_share"] == 1
    assert result["micro_f1"] == pytest.approx(f1_score(actual, predicted, average="micro", zero_division=0))
    assert result["hierarchical_f1"] == result["constrained_micro_f1"] == result["micro_f1"]
    assert result["constrained_macro_f1"] == result["macro_f1"]


def test_consistent_share_counts_rows_without_orphans():
    metrics = measured(LABELS, LABELS.matrix([[0], [3]]), LABELS.matrix([[0, 1], [4]]))
    assert metrics.result()["consistent_share"] == 0.5


def test_nothing_scored_gives_zeros():
    result = Metrics(LABELS).result()
    assert result["micro_f1"] == result["hierarchical_f1"] == result["constrained_macro_f1"] == 0
