"""Words are cut where their script ends them, never before a mark; where it ends none, between characters."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.files.dataset import Example, read_examples, write_examples, write_labels
from pipeline.labels.hierarchy import LabelHierarchy
from training.analysis import aug
from training.analysis.evidence.linear_model import tfidf_vectoriser
from training.analysis.rewriting.words import is_chinese, segmenter

HINDI, TAMIL, VIETNAMESE = "हिन्दी में क्या है", "தமிழ் மொழி", unicodedata.normalize("NFD", "tiếng Việt rất đẹp")
JOINED, THAI, JAPANESE = "नमस्\u200dते दुनिया", "ข่าวน้ำท่วม ที่นี่", "カタカナで書く"


@pytest.mark.parametrize("text", [HINDI, TAMIL, VIETNAMESE, JOINED, "it's fine", "1,000.5 people don’t"])
def test_no_word_is_cut_at_a_mark(text):
    assert [piece for piece in segmenter(False)(text) if not piece.isspace()] == text.split()


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("ข่าวน้ำiPhone", ["ข่", "า", "ว", "น้ำ", "iPhone"]),
        (JAPANESE, ["カタカナ", "で", "書", "く"]),
        ("မြန်မာ", ["မြ", "န်", "မာ"]),
        ("👨‍👩‍👧ok", ["👨‍👩‍👧", "ok"]),
    ],
)
def test_where_no_space_ends_words_characters_keep_their_marks(text, pieces):
    assert segmenter(False)(text) == pieces


@pytest.mark.parametrize(
    "text", [HINDI, TAMIL, VIETNAMESE, JOINED, THAI, JAPANESE, "a, b! 你好", "a \n\tb  c", "", "a\r\n\u200b."]
)
def test_the_pieces_are_the_text(text):
    pieces = segmenter(False)(text)
    assert "".join(pieces) == text
    assert not [piece for piece in pieces if unicodedata.category(piece[0])[0] == "M"]


@given(st.text(st.sampled_from("aกำ\u0e49か゛カ\u0301\u200d\u200b \n1.'你မာ\U0001f468😀")))
def test_any_text_is_its_pieces_and_no_letter_loses_its_mark(text):
    pieces = segmenter(False)(text)
    assert "".join(pieces) == text
    for before, after in zip(pieces, pieces[1:]):
        assert [unicodedata.category(char)[0] for char in (before[-1], after[0])] != ["L", "M"]


def features(*texts):
    return set(tfidf_vectoriser(texts).fit(texts).get_feature_names_out())


def test_the_linear_model_knows_whole_words():
    assert {"हिन्दी", "में", "क्या", "है", "हिन्दी में"} <= features(HINDI, "है में")
    assert features("isn't it") == {"isn", "it", "isn it"}


@pytest.mark.parametrize("text", ["สวัสดีครับ", "こんにちは", "မင်္ဂလာပါ", "你好"])
def test_the_linear_model_reads_scripts_without_spaces_by_characters(text):
    known = features(text, text)
    assert len(known) > 1
    assert not [each for each in known for part in each.split(" ") if unicodedata.category(part[0])[0] == "M"]


def test_among_spaced_texts_a_run_without_spaces_is_no_word():
    known = features("fast train", "slow train", "the ข่าวน้ำ news")
    assert {"fast", "the", "news", "ข่", "น้ำ", "ว น้ำ"} <= known
    assert "ข่าวน้ำ" not in known


def test_japanese_is_not_taken_for_chinese():
    assert is_chinese(["雀巢裁员"])
    assert not is_chinese(["映画を見る", "学校へ行く"])


@pytest.mark.parametrize("strategy", ["insert", "delete", "swap", "substitute"])
@pytest.mark.parametrize("text", [HINDI, THAI])
def test_new_rows_have_marks_on_letters_alone(text, strategy, tmp_path):
    hierarchy = LabelHierarchy(["a", "b"])
    rows = [Example(f"{text} {end}", (row % 2,)) for row, end in enumerate(["एक", "दो", "तीन", "चार"])]
    write_labels(tmp_path / "label.txt", hierarchy)
    write_examples(tmp_path / "train.txt", rows, hierarchy)
    (tmp_path / "words.json").write_text(json.dumps({"में": ["पर"], "น้ำ": ["ลม"]}))
    paths = ("--train_path", tmp_path / "train.txt", "--aug_path", tmp_path / "aug.txt")
    options = ("--aug_strategy", strategy, "--word_file", tmp_path / "words.json", "--aug_percent", 0.9)
    aug.main([str(each) for each in (*paths, *options)])
    made = [row.text for row in read_examples(tmp_path / "aug.txt", hierarchy)]
    assert made
    for row in made:
        known = set(segmenter(False)(text)) | {"पर", *"ลม", "एक", "दो", "तीन", "चार"}
        assert set(segmenter(False)(row)) <= known, "no piece is there that was not, or was not to come"
