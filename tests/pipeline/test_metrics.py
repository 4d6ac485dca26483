import numpy as np
import pytest
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from pipeline.hierarchy import LabelHierarchy
from pipeline.metrics import Metrics

LABELS = LabelHierarchy(["a", "a##b", "a##c", "d", "d##e"])


def random_rows(rows):
    generator = np.random.default_rng(3)
    return (generator.random((2, rows, 5)) < 0.4).astype(bool)


@pytest.mark.parametrize("average", ["micro", "macro"])
def test_scores_are_those_of_scikit_learn(average):
    actual, predicted = random_rows(200)
    actual[:, 2] = False  # a label without an example
    metrics = Metrics(LABELS)
    for start in range(0, 200, 64):  # fed in batches
        metrics.update(actual[start : start + 64], predicted[start : start + 64])
    expected = precision_recall_fscore_support(actual, predicted, average=average, zero_division=0)
    result = metrics.result()
    assert [result[f"{average}_{name}"] for name in ("precision", "recall", "f1")] == pytest.approx(expected[:3])
    assert result["accuracy"] == accuracy_score(actual, predicted)
    level = LABELS.levels == 2
    expected = precision_recall_fscore_support(actual[:, level], predicted[:, level], average=average, zero_division=0)
    assert result["levels"]["2"][f"{average}_f1"] == pytest.approx(expected[2])
    assert result["levels"]["2"]["accuracy"] == accuracy_score(actual[:, level], predicted[:, level])


def test_consistent_share_counts_rows_without_orphans():
    metrics = Metrics(LABELS)
    metrics.update(LABELS.matrix([[0], [3]]), LABELS.matrix([[0, 1], [4]]))
    assert metrics.result()["consistent_share"] == 0.5


def test_nothing_scored_gives_zeros():
    assert Metrics(LABELS).result()["micro_f1"] == 0
