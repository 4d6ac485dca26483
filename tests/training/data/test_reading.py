"""What training says of what it does not read, and of labels that it can hardly learn."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.text.encoding import TextEncoder
from pipeline.text.long_texts import LongTexts
from pipeline.text.wordpiece import WordPiece
from pipeline.text.words import TokeniserSettings
from training.data.reading import label_notes, measure_reading

PATH = Path("train.txt")


def encoder(length, long_texts=LongTexts()):
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"]
    return TextEncoder("none", WordPiece(vocabulary, TokeniserSettings(), length), long_texts=long_texts)


def test_cut_texts_and_the_length_that_reads_nearly_all_are_told():
    texts = ["a b a b"] * 9 + ["a " * 64]
    reading = measure_reading(texts, encoder(10))
    assert (reading.cut, reading.read, reading.unknown, reading.wanted_length) == (0.1, 0.44, 0.0, 66)
    note, warning = reading.notes(PATH)
    assert note == (
        "train.txt: 10.0 % of the texts are longer than 10 tokens, 44.0 % of all tokens are read, "
        "0.00 % of them unknown"
    )
    assert warning == (
        "warning: much of the texts is not read; --max_seq_length 66 would read 99 %, and --long_texts windows reads "
        "texts of any length; --long_texts head_tail reads their ends, too, at no cost"
    )


def test_windows_that_do_not_suffice_are_told_with_what_would():
    reading = measure_reading(["a b a b"] * 9 + ["a " * 64], encoder(10, LongTexts("windows", "max", 2)))
    assert (reading.length, reading.cut, reading.read) == (16, 0.1, 0.5)
    assert list(reading.notes(PATH))[1] == (
        "warning: much of the texts is not read; 66 tokens a text would be 99 %: raise --max_windows, or "
        "--max_seq_length"
    )


def test_nothing_is_warned_of_where_all_is_read():
    (note,) = measure_reading(["a b", "b"], encoder(64)).notes(PATH)
    assert "0.0 % of the texts are longer than 64 tokens, 100.0 % of all tokens are read" in note


@pytest.mark.parametrize("text", ["ภ" * 101, "a c d"])
def test_unknown_tokens_are_warned_of(text):
    _, warning = measure_reading([text, "a"], encoder(64)).notes(PATH)
    assert "of the tokens are unknown: texts that differ in them alone get the same answer" in warning
    assert "build/e5 for some hundred of them (`make e5`), or a scratch one, which learns its own" in warning


def test_labels_without_rows_are_named():
    hierarchy = LabelHierarchy(["a", "b", "c"])
    labels = np.array([[True, True, False]] * 9 + [[True, False, False]])
    said = "\n".join(label_notes(PATH, hierarchy, labels, np.array([[True, True, False]])))
    assert "1 of 3 labels (c) have no row" in said
    assert "1 of 3 labels (b) have fewer than 10 rows" in said
    assert "macro F1 counts every label; 1 of 3 labels (c) have no dev row and count as 0" in said


def test_labels_that_are_nearly_the_same_are_named():
    (said,) = label_notes(PATH, LabelHierarchy(["a", "A"]), np.ones((10, 2)), np.ones((1, 2)))
    assert said.startswith("note: labels that differ in letter case or width alone: 'a' and 'A'")


def test_nothing_is_said_where_every_label_has_rows():
    assert not list(label_notes(PATH, LabelHierarchy(["a"]), np.ones((10, 1)), np.ones((1, 1))))
