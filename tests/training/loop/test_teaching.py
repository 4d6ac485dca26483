import json

import numpy as np
import pytest

from pipeline.errors import DatasetError, InputError
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.text.encoding import TextEncoder
from pipeline.text.wordpiece import WordPiece
from pipeline.text.words import TokeniserSettings
from training.data.encoded import read_encoded
from training.loop.teaching import add_taught_rows

HIERARCHY = LabelHierarchy(["A", "A##a", "B"])
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"甲乙丙"]


@pytest.fixture
def encoder():
    return TextEncoder("half_width", WordPiece(VOCABULARY, TokeniserSettings(kind="bert"), 8))


@pytest.fixture
def dataset(tmp_path, encoder):
    (tmp_path / "train.txt").write_text("甲\tA,A##a\n")
    return read_encoded(tmp_path / "train.txt", HIERARCHY, encoder)


def answers(path, *lines):
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    return path


def answer(text, **confidences):
    labels = [{"label": label.replace("_", "##"), "confidence": value} for label, value in confidences.items()]
    return {"text": text, "labels": labels}


def test_new_texts_get_the_mean_of_the_teachers(tmp_path, dataset, encoder):
    teachers = [
        answers(tmp_path / "one.jsonl", answer("甲", B=1.0), answer("乙", A=0.8, A_a=0.6), answer("丙", B=1.0)),
        answers(tmp_path / "two.jsonl", answer("甲", B=1.0), answer("乙", A=0.4, B=0.2), answer("丙", B=1.0)),
    ]
    (tmp_path / "dev.txt").write_text("丙\tB\n")
    held_out = read_encoded(tmp_path / "dev.txt", HIERARCHY, encoder)
    taught = add_taught_rows(dataset, held_out, teachers, HIERARCHY, encoder)
    assert taught.texts == ["甲", "乙"]
    assert taught.labels == pytest.approx(np.array([[1, 1, 0], [0.6, 0.3, 0.1]]))
    assert [row.tolist() for row in taught.rows] == [[2, 5, 3], [2, 6, 3]]


def test_teachers_answer_the_same_texts(tmp_path, dataset, encoder):
    one = answers(tmp_path / "one.jsonl", answer("乙", A=1.0), answer("丙", B=1.0))
    with pytest.raises(InputError, match="short.jsonl has fewer lines than the other --teachers"):
        add_taught_rows(dataset, dataset, [one, answers(tmp_path / "short.jsonl", answer("乙"))], HIERARCHY, encoder)
    other = answers(tmp_path / "other.jsonl", answer("乙"), answer("甲"))
    with pytest.raises(DatasetError, match="other.jsonl:2: the text is '甲', and '丙' in"):
        add_taught_rows(dataset, dataset, [one, other], HIERARCHY, encoder)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("no json", "no answer as `predict.py --format jsonl` writes it"),
        ('{"text": "乙"}', "no answer .*KeyError: 'labels'"),
        ('["乙"]', "no answer"),
        ('{"text": "乙", "labels": [{"label": "C", "confidence": 1}]}', "KeyError: 'C'"),
        ('{"text": "乙", "labels": [{"label": "A", "confidence": 1.5}]}', r"outside \[0, 1\]"),
        ('{"text": "乙", "labels": [{"label": "A", "confidence": NaN}]}', r"NaN is no number"),
        ('{"text": "", "labels": []}', "the text is ''"),
        ('{"text": 5, "labels": []}', "the text is 5"),
    ],
)
def test_what_is_no_answer_is_named(tmp_path, dataset, encoder, line, reason):
    (tmp_path / "bad.jsonl").write_text(f"{line}\n")
    with pytest.raises(DatasetError, match=rf"bad.jsonl:1: .*{reason}"):
        add_taught_rows(dataset, dataset, [tmp_path / "bad.jsonl"], HIERARCHY, encoder)
