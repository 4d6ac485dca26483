import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.files.dataset import read_examples
from pipeline.labels.answers import Answer, Prediction
from pipeline.labels.explanation import Explanation, Reason
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.output import FORMATS, as_json_line, as_levels, as_row, as_tree
from tests.pipeline.files.test_dataset import TEXTS

CONTROL_CHARACTERS = re.compile("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
ANSWER = [Prediction("人生", 0.99), Prediction("人生##死亡", 0.98), Prediction("灾害##车祸", 0.7)]


def test_a_tree_shows_children_below_their_parents():
    assert as_tree("文本", ANSWER).split("\n") == [
        "文本",
        "  ├─ 人生  0.990",
        "  │  └─ 死亡  0.980",
        "  └─ 灾害##车祸  0.700",
    ]


def test_a_json_line_holds_text_and_labels():
    assert json.loads(as_json_line("文本", ANSWER[:1])) == {
        "text": "文本",
        "labels": [{"label": "人生", "confidence": 0.99}],
    }


def test_text_shows_the_result_and_each_level():
    assert as_levels("文本", ANSWER).split("\n") == [
        "text: 文本",
        "prediction result: 人生,人生##死亡,灾害##车祸",
        "level 1: 人生 (0.990)",
        "level 2: 人生##死亡 (0.980), 灾害##车祸 (0.700)",
        "----------------------------",
    ]


def test_a_row_holds_text_labels_and_confidences():
    assert as_row("文本", ANSWER) == "文本\t人生,人生##死亡,灾害##车祸\t0.990000,0.980000,0.700000"


def test_an_explanation_is_a_line_more():
    reasons = {"人生": (), "人生##死亡": (Reason("死亡\n", 4, 7, 0.84), Reason("车", 8, 9, -0.001))}
    answer = Answer(ANSWER[:2], False, Explanation(reasons, 2, 9))
    line = "why: 人生: (no words by themselves); 人生##死亡: 死亡  -0.840, 车 +0.001"
    assert as_levels("文本", answer).split("\n")[-2] == line
    assert as_tree("文本", answer).split("\n")[-1] == f"  {line}"
    assert as_row("文本", answer).split("\t")[3:] == [line]
    assert json.loads(as_json_line("文本", answer))["explanation"] == {
        "labels": [
            {"label": "人生", "words": []},
            {
                "label": "人生##死亡",
                "words": [
                    {"text": "死亡\n", "start": 4, "end": 7, "drop": 0.84},
                    {"text": "车", "start": 8, "end": 9, "drop": -0.001},
                ],
            },
        ],
        "words_at_once": 2,
        "until": 9,
    }


@given(TEXTS, st.sets(st.sampled_from(["人生", "人生##死亡", "灾害"]), min_size=1))
def test_the_first_columns_of_a_row_are_a_row_of_a_dataset_file(tmp_path_factory, text, labels):
    hierarchy = LabelHierarchy(["人生", "人生##死亡", "灾害"])
    row = as_row(text, [Prediction(label, 0.5) for label in sorted(labels)])
    path = tmp_path_factory.mktemp("rows") / "train.txt"
    path.write_bytes(row.rpartition("\t")[0].encode() + b"\n")
    (example,) = read_examples(path, hierarchy)
    assert example.text.lstrip(" ") == CONTROL_CHARACTERS.sub(" ", text).lstrip(" ")
    assert set(example.labels) == hierarchy.with_ancestors(labels)


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_in_a_text_commands_the_terminal(name):
    shown = FORMATS[name]("a\x1b[2Jb\x9b31mc", ANSWER)
    assert not CONTROL_CHARACTERS.search(shown.replace("\n", "").replace("\t", ""))


@pytest.mark.parametrize("text", ["=1+1", "@SUM(A1)", "-cmd|' /C calc'!A0"])
def test_a_spreadsheet_computes_no_text(text):
    assert as_row(text, []).startswith(f" {text}")
    assert as_row("@某人 -5°C", []).startswith("@某人")


def test_what_would_break_a_row_becomes_a_space():
    assert as_row("一\t二\r三", []) == "一 二 三\t\t"


@pytest.mark.parametrize("name", ["text", "tree"])
def test_a_text_without_labels_says_so(name):
    assert "(no label is sure enough)" in FORMATS[name]("文本", [])


def test_a_label_that_a_spreadsheet_would_compute_is_shown_behind_a_space():
    row = as_row("a", [Prediction("=cmd|' /C calc'!A0", 0.5)])
    assert row.split("\t")[1] == " =cmd|' /C calc'!A0"


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_turns_the_direction_of_writing(name):
    assert "\u202e" not in FORMATS[name]("a\u202eb", ANSWER)
