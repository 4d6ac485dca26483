from benchmarks.quality.linear_baseline import LinearBaseline
from pipeline.files.dataset import Example
from pipeline.labels.hierarchy import LabelHierarchy


def test_a_label_without_a_training_row_is_never_predicted():
    hierarchy = LabelHierarchy(["grain", "grain##wheat", "grain##oats", "ship"])
    rows = [Example("wheat harvest rises", (0, 1)), Example("cargo vessel in port", (3,))] * 4
    baseline = LinearBaseline(rows, rows, hierarchy)
    assert baseline.score(rows)["micro_f1"] == 1
    assert baseline.probabilities(["wheat harvest"])[0, 2] < 0.01
