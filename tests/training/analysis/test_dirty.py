"""Wrong labels are found, explained and handed over to people."""

import json

import numpy as np
import pytest

from pipeline.errors import ClassifierError, InputError
from pipeline.files.dataset import Example, read_examples, read_labels, write_examples, write_labels
from pipeline.labels.hierarchy import LabelHierarchy
from tests.doccano import convert
from training.analysis import dirty
from training.analysis.dirty import DirtyOptions
from training.analysis.evidence.label_doubts import label_doubts
from training.analysis.evidence.linear_model import leave_one_out_probabilities
from training.analysis.evidence.suspicion import path_ends

HIERARCHY = LabelHierarchy(["灾害", "灾害##车祸", "灾害##地震", "体育", "体育##夺冠"])
SENTENCES = {
    "灾害##车祸": "昨日{}高速公路上货车与客车相撞",
    "灾害##地震": "今晨{}发生地震震感强烈",
    "体育##夺冠": "{}队决赛获胜夺得冠军奖杯",
}
CITIES = "北京上海广州深圳天津重庆武汉南京成都西安长沙杭州青岛大连厦门宁波苏州无锡合肥福州"
WRONG = {3: ["灾害##地震"], 21: ["体育##夺冠"], 39: ["灾害##车祸", "体育##夺冠"], 45: ["灾害"]}
KINDS = {3: "swapped sibling", 21: "swapped branch", 39: "spurious label", 45: "missing leaf"}


def rows():
    """Sixty sentences, of three kinds in turn; those of WRONG have other labels than they should."""
    labels = list(SENTENCES)
    for number in range(60):
        right = labels[number % 3]
        city = CITIES[2 * (number // 3) : 2 * (number // 3) + 2]
        text = SENTENCES[right].format(city)
        yield Example(text, tuple(sorted(HIERARCHY.with_ancestors(WRONG.get(number, [right])))))


@pytest.fixture
def folder(tmp_path):
    write_labels(tmp_path / "label.txt", HIERARCHY)
    write_examples(tmp_path / "train.txt", rows(), HIERARCHY)
    return tmp_path


def find(folder, *options):
    dirty.main(["--dataset_dir", str(folder), *map(str, options)])


def test_wrong_labels_come_first_and_are_told_apart(folder, capsys):
    find(folder, "--dirty_num", len(WRONG))
    review = [json.loads(line) for line in (folder / "train_dirty.jsonl").read_text().splitlines()]
    assert {record["line"] - 1 for record in review} == set(WRONG)
    assert {record["line"] - 1: [doubt.partition(":")[0] for doubt in record["doubts"]] for record in review} == {
        row: [kind] for row, kind in KINDS.items()
    }
    right = list(SENTENCES)
    assert all(record["label"] == [right[(record["line"] - 1) % 3]] for record in review)  # what is suggested
    said = capsys.readouterr()
    assert "4 rows, the most doubtful first" in said.out
    assert "missing leaf 1" in said.out
    assert said.err.startswith("judging ")


def test_a_program_gets_what_was_found(folder):
    found = dirty.find_doubtful(DirtyOptions(dataset_dir=folder, dirty_num=len(WRONG)))
    assert set(found.rows) == set(WRONG)
    assert found.scores == sorted(found.scores, reverse=True)
    assert (found.total, dict(found.doubts)) == (60, {kind: 1 for kind in KINDS.values()})


def test_the_two_files_are_the_training_file_divided(folder):
    find(folder, "--dirty_num", 10)
    hierarchy = read_labels(folder / "label.txt")
    doubtful, rest = (list(read_examples(folder / f"train_dirty{part}.txt", hierarchy)) for part in ("", "_rest"))
    assert len(doubtful) == 10
    given = list(rows())
    assert sorted([*doubtful, *rest]) == sorted(given)
    assert rest == [row for row in given if row not in doubtful]


def test_doccano_takes_the_review_file_and_gives_it_back(folder):
    find(folder, "--dirty_num", 4)
    again = convert(folder / "train_dirty.jsonl", folder / "corrected", "--splits", 1, 0)
    labels = read_labels(again / "label.txt")
    texts = [example.text for example in read_examples(again / "train.txt", labels)]
    assert sorted(texts) == sorted(row.text for number, row in enumerate(rows()) if number in WRONG)


def test_the_threshold_keeps_rows_that_nothing_is_wrong_with(folder):
    find(folder, "--dirty_num", 60, "--dirty_threshold", 0.9)
    kept = len((folder / "train_dirty.txt").read_text().splitlines())
    assert 0 < kept <= 10


def test_predictions_are_those_of_a_model_without_the_row():
    texts = [row.text for row in rows()]
    labels = HIERARCHY.matrix([row.labels for row in rows()])
    found = leave_one_out_probabilities(texts, labels, 0)
    lied = labels.copy()
    lied[0] = ~lied[0]  # nothing that is said of the first row depends on the first row's labels
    again = leave_one_out_probabilities(texts, lied, 0)
    assert np.corrcoef(found[0], again[0])[0, 1] > 0.99
    assert found.shape == labels.shape and 0 < found.min() < found.max() < 1
    assert ((found[1] > 0.5) == labels[1]).all()


def test_where_a_path_ends_is_a_question_of_its_own():
    given = HIERARCHY.matrix([[0, 1], [0], [3, 4], [0, 3, 4]])
    assert path_ends(HIERARCHY, given).tolist() == [[False, False], [True, False], [False, False], [True, False]]


@pytest.mark.parametrize(
    ("given", "suggested", "doubts"),
    [
        ([0, 1], [0, 2], ["swapped sibling: 灾害##车祸 -> 灾害##地震"]),
        ([0, 1], [3, 4], ["swapped branch: 灾害##车祸 -> 体育##夺冠"]),
        ([0], [0, 2], ["missing leaf: 灾害##地震"]),
        ([0, 1], [0, 1, 3, 4], ["missing parent: 体育##夺冠"]),
        ([0, 1, 3, 4], [3, 4], ["spurious label: 灾害##车祸"]),
        ([0, 1, 2], [0, 2], ["spurious label: 灾害##车祸"]),
        ([0, 1], [0, 1], []),
    ],
)
def test_doubts_are_said_in_terms_of_the_hierarchy(given, suggested, doubts):
    given, suggested = HIERARCHY.matrix([given, suggested])
    assert list(map(str, label_doubts(HIERARCHY, given, suggested))) == doubts


def test_representer_points_of_a_trained_model(checkpoint, sample_dataset, tmp_path):
    """Labels of rows that are spoilt after training are what the classifier layer strains against."""
    hierarchy = read_labels(sample_dataset / "label.txt")
    examples = list(read_examples(sample_dataset / "train.txt", hierarchy))[:300]
    leaves = hierarchy.deepest(range(len(hierarchy)))
    for row in range(0, 300, 15):
        new = next(leaf for leaf in leaves[row % 7 :] if leaf not in examples[row].labels)
        labels = tuple(sorted(hierarchy.with_ancestors([hierarchy.labels[new]])))
        examples[row] = Example(examples[row].text, labels)
    write_labels(tmp_path / "label.txt", hierarchy)
    write_examples(tmp_path / "train.txt", examples, hierarchy)
    find(tmp_path, "--device", "cpu", "--params_path", checkpoint, "--method", "representer", "--dirty_num", 30)
    found = [json.loads(line)["line"] - 1 for line in (tmp_path / "train_dirty.jsonl").read_text().splitlines()]
    assert sum(row % 15 == 0 for row in found) >= 12  # of 20; by chance it would be 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--dirty_num", 0), "--dirty_num is 0"),
        (("--train_file", "none.txt"), "cannot read .*none.txt"),
        (("--rest_file", "train.txt"), "--rest_file .* would overwrite .*train.txt"),
        (("--dirty_file", "dev.txt"), "--dirty_file .* would overwrite .*dev.txt"),
        (("--rest_file", "test.txt"), "--rest_file .* would overwrite .*test.txt"),
        (("--review_file", "data.txt"), "--review_file .* would overwrite .*data.txt"),
        (("--rest_file", "train_dirty.txt"), "would overwrite what --dirty_file writes"),
        (("--method", "representer", "--params_path", "nowhere"), "there is no checkpoint at nowhere"),
    ],
)
def test_what_cannot_be_done_is_named_and_nothing_is_written(folder, options, message):
    before = {path.name for path in folder.iterdir()}
    with pytest.raises(ClassifierError, match=message):
        find(folder, *options)
    assert {path.name for path in folder.iterdir()} == before


def test_one_row_has_nothing_to_be_compared_with(folder):
    (folder / "train.txt").write_text("货车相撞\t灾害##车祸\n")
    with pytest.raises(InputError, match="has 1 rows"):
        find(folder)
