"""Texts that differ in what nobody sees are one text: for leaks, repetitions, contradictions and splits."""

import numpy as np
import pytest

from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.text.encoding import TextEncoder
from pipeline.text.normalisation import comparable
from pipeline.text.wordpiece import WordPiece
from pipeline.text.words import TokeniserSettings
from tests.doccano import convert, lines, write_records
from training.data.encoded import read_encoded, repetitions, shared_texts
from training.data.row_collector import new_texts
from training.loop.teaching import add_taught_rows

HIERARCHY = LabelHierarchy(["a", "b"])
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"a股上涨3%e"]
PAIRS = [
    ("Ａ股上涨 ３％", "A股上涨 3%"),
    ("caf\u00e9 涨", "cafe\u0301 涨"),
    ("上  涨", " 上 涨"),
    ("上\u200b涨", "上涨"),
]


@pytest.fixture
def encoder():
    settings = TokeniserSettings(kind="bert", lower_case=True, strip_accents=False)
    return TextEncoder("half_width_composed", WordPiece(VOCABULARY, settings, 16))


def dataset(path, encoder, *rows):
    path.write_text("".join(f"{text}\t{label}\n" for text, label in rows), encoding="utf-8")
    return read_encoded(path, HIERARCHY, encoder)


@pytest.mark.parametrize("pair", PAIRS, ids=ascii)
def test_a_row_of_dev_that_the_model_reads_like_one_of_train_is_shared(tmp_path, encoder, pair):
    train = dataset(tmp_path / "train.txt", encoder, (pair[0], "a"))
    dev = dataset(tmp_path / "dev.txt", encoder, (pair[1], "a"), ("上", "a"))
    assert np.array_equal(train.rows[0], dev.rows[0])
    assert shared_texts(train, dev, encoder) == 1
    assert comparable(pair[0]) == comparable(pair[1])


def test_repetitions_are_told_by_what_the_model_reads(tmp_path, encoder):
    rows = [("Ａ股", "a"), ("a股", "b"), ("😀", "a"), ("😁", "b")]
    said = repetitions(dataset(tmp_path / "train.txt", encoder, *rows), encoder)
    assert said.startswith(
        "1 rows repeat the text of an earlier row, 1 of them with other labels (lines 1 and 2 first)"
    )


def test_a_held_out_text_in_another_form_is_not_taught(tmp_path, encoder):
    train, dev = (dataset(tmp_path / f"{name}.txt", encoder, (name, "a")) for name in ("a", "3%"))
    answers = tmp_path / "answers.jsonl"
    answers.write_text("".join(f'{{"text": "{text}", "labels": []}}\n' for text in ("３％", "上", "上 ")))
    assert add_taught_rows(train, dev, [answers], HIERARCHY, encoder).texts == ["a", "上"]


def test_of_new_texts_that_are_one_the_first_is_kept(encoder):
    assert new_texts(["Ａ股", "上涨", "a股", "上 涨"], ["上涨"], encoder.words) == ["Ａ股"]


def test_a_text_of_two_splits_goes_to_one_file_and_that_is_said(tmp_path, capsys):
    source = write_records(
        tmp_path / "doccano.jsonl",
        {"text": "甲", "label": ["c"]},
        {"text": "甲", "label": ["c"], "split": "dev"},
        {"text": "甲", "label": ["a"], "split": "train"},
        {"text": "乙", "label": ["a"], "split": "train"},
        {"text": "乙", "label": ["a"], "split": "test"},
    )
    folder = convert(source, tmp_path / "data", "--keep_splits", "--splits", 1, 0)
    assert lines(folder, "dev.txt") == ["甲\tc", "甲\ta"]
    assert lines(folder, "train.txt") == ["乙\ta"]
    assert not (folder / "test.txt").exists()
    said = capsys.readouterr().err
    assert "note: 2 rows name another file than an earlier row of their text, and went to that one" in said
    assert f"{source}:3 train.txt, {source}:2 dev.txt" in said


def test_texts_that_no_reader_tells_apart_are_one(tmp_path, capsys):
    source = write_records(
        tmp_path / "doccano.jsonl",
        {"text": "Ａ股上涨 ３％", "label": ["a"]},
        {"text": "A股上涨  3%", "label": ["a"]},
        {"text": "A股\u200b上涨 3%", "label": ["b"]},
        {"text": "cafe\u0301", "label": []},
        {"text": "caf\u00e9", "label": []},
    )
    folder = convert(source, tmp_path / "data", "--is_shuffle", "false", "--splits", 1, 0)
    assert lines(folder, "train.txt") == ["Ａ股上涨 ３％\ta", "A股\u200b上涨 3%\tb"]
    assert lines(folder, "data.txt") == ["cafe\u0301"]
    said = capsys.readouterr().err
    assert "left out as repeats of another in text and labels: 2 rows" in said
    assert "1 row with a text that stands elsewhere with other labels" in said
