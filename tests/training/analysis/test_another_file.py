"""Evaluating another file than dev.txt, and what an evaluation says of labels and texts that it cannot measure."""

import json
from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.files.dataset import write_labels
from pipeline.labels.decoding import Decoder
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.text.encoding import TextEncoder
from pipeline.text.wordpiece import WordPiece
from pipeline.text.words import TokeniserSettings
from tests.prediction import checked, untold
from tests.training.analysis.conftest import LABELS, classifier
from training.analysis import evaluate as command
from training.checkpoint.classifier import Classifier


@pytest.fixture
def evaluation(tmp_path, monkeypatch, capsys):
    """Evaluates a folder with train.txt, dev.txt and test.txt; what was printed, and the figures."""
    rows = {
        "train": "生一\t人生\n" * 12 + "灾一\t灾害,灾害##死亡\n",
        "dev": "生二\t人生,人生##死亡\n",
        "test": "灾四五六\t灾害\n生\t人生\n",
    }
    for name, content in rows.items():
        (tmp_path / f"{name}.txt").write_text(content)
    write_labels(tmp_path / "label.txt", LABELS)
    settings = TokeniserSettings()
    vocabulary = [*settings.special_tokens, "生", "灾"]
    encoder = TextEncoder("none", WordPiece(vocabulary, settings, 4))
    monkeypatch.setattr(command.EvaluateOptions, "classifier", checked(replace(classifier(), encoder=encoder)))
    monkeypatch.chdir(tmp_path)

    def evaluate(*options):
        command.main(["--dataset_dir", ".", "--json", "evaluation.json", "--per_class", *options])
        return capsys.readouterr().out, json.loads((tmp_path / "evaluation.json").read_text())

    return evaluate


def test_another_file_is_called_by_its_name_and_train_is_counted_alone(evaluation):
    printed, found = evaluation("--dev_file", "test.txt")
    assert "Test dataset size: 2" in printed and "Accuracy in test dataset" in printed
    assert " dev dataset" not in printed and "in train dataset" not in printed
    assert (found["file"], found["train_measured"], found["train_rows"]) == ("test.txt", False, 13)
    assert found["labels"][0]["train"] == {"support": 12, "precision": None, "recall": None, "f1": None}


def test_another_file_may_lie_elsewhere(evaluation, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "test.txt").rename(tmp_path / "elsewhere" / "new.txt")
    _, found = evaluation("--data_file", "elsewhere/new.txt")
    assert (found["file"], found["rows"]) == ("new.txt", 2)


def test_a_file_with_a_slash_in_its_name_is_a_path(evaluation, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "test.txt").rename(tmp_path / "here" / "new.txt")
    monkeypatch.chdir(tmp_path / "here")
    elsewhere = ("--dataset_dir", "..", "--json", "../evaluation.json")
    _, found = evaluation("--data_file", "./new.txt", *elsewhere)
    assert (found["file"], found["rows"]) == ("new.txt", 2)
    with pytest.raises(InputError, match=r"there is no \.\./new\.txt; give \./new\.txt for the file in this folder"):
        evaluation("--data_file", "new.txt", *elsewhere)


def test_another_file_needs_no_training_rows(evaluation, tmp_path):
    (tmp_path / "train.txt").unlink()
    printed, found = evaluation("--dev_file", "test.txt")
    assert "Train dataset" not in printed
    assert found["train_rows"] == 0 and found["labels"][0]["train"] is None


def test_train_is_measured_beside_dev_or_where_it_is_named(evaluation, tmp_path):
    printed, found = evaluation()
    assert "in train dataset: 12" in printed and "Dev dataset size: 1" in printed and found["train_measured"]
    (tmp_path / "train.txt").rename(tmp_path / "more.txt")
    printed, found = evaluation("--dev_file", "test.txt", "--train_file", "more.txt")
    assert "in train dataset: 12" in printed and found["train_measured"]
    (tmp_path / "more.txt").rename(tmp_path / "train.txt")
    _, found = evaluation("--data_file", "test.txt", "--train_file", "train.txt")
    assert found["train_measured"]


def test_it_says_how_much_of_the_texts_is_read(evaluation):
    _, found = evaluation("--data_file", "test.txt")
    reading = found["reading"]
    assert (reading["length"], reading["cut"], reading["wanted_length"]) == (4, 0.5, 6)
    assert reading["read"] == pytest.approx(3 / 5)
    assert found["few_rows"] == 10


def test_one_label_is_enough(tmp_path, monkeypatch, capsys):
    hierarchy = LabelHierarchy(["事件"])
    write_labels(tmp_path / "label.txt", hierarchy)
    for name in ("train", "dev"):
        (tmp_path / f"{name}.txt").write_text("裁员\t事件\n")
    single = Classifier(Decoder(hierarchy), untold(lambda texts: np.full((len(texts), 1), 9, np.float32)))
    monkeypatch.setattr(command.EvaluateOptions, "classifier", checked(single))
    monkeypatch.chdir(tmp_path)
    command.main(["--dataset_dir", ".", "--report", "report.html"])
    assert "accuracy (the whole label set is right) 100.00" in capsys.readouterr().out
