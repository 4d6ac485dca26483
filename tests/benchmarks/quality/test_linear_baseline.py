import pytest

from benchmarks.quality.linear_baseline import LinearBaseline
from pipeline.errors import InputError
from pipeline.files.dataset import Example
from pipeline.labels.hierarchy import LabelHierarchy
from training.linear.fitting import MARGINS


def test_a_label_without_a_training_row_is_never_predicted():
    hierarchy = LabelHierarchy(["grain", "grain##wheat", "grain##oats", "ship"])
    rows = [Example("wheat harvest rises", (0, 1)), Example("cargo vessel in port", (3,))] * 4
    baseline = LinearBaseline(rows, rows, hierarchy)
    assert baseline.score(rows)["micro_f1"] == 1
    assert baseline.margins(["wheat harvest"])[0, 2] < -1


@pytest.mark.parametrize(
    ("labels", "rows"),
    [
        (["grain"], [(0,)] * 4),
        (["grain", "ship"], [(0,)] * 4),
        (["grain", "grain##oats"], [(0, 1)] * 4),
        (["grain", "ship"], [(0,)]),
        (["grain", "ship"], [(0,), (1,)]),
    ],
    ids=["one label", "one that occurs", "all have all", "one row", "two rows"],
)
def test_a_dataset_with_nothing_to_separate_is_answered_all_the_same(labels, rows):
    hierarchy = LabelHierarchy(labels)
    examples = [Example(f"harvest of row {number}", positions) for number, positions in enumerate(rows)]
    baseline = LinearBaseline(examples, examples[:1], hierarchy)
    assert baseline.score(examples[:1])["micro_f1"] == 1
    assert baseline.margins(["harvest"]).shape == (1, len(labels))


def test_no_rows_are_an_error():
    with pytest.raises(InputError, match="needs a row to train on"):
        LinearBaseline([], [], LabelHierarchy(["a"]))


def test_margins_go_on_until_every_label_counts():
    assert MARGINS[0] == 0 and MARGINS[-1] == -1
