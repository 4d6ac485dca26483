"""Words are cut where their script ends them, not at vowel signs."""

import unicodedata

import pytest

from training.analysis.evidence.linear_model import tfidf_vectoriser
from training.analysis.rewriting.words import segmenter

HINDI, TAMIL, VIETNAMESE = "हिन्दी में क्या है", "தமிழ் மொழி", unicodedata.normalize("NFD", "tiếng Việt rất đẹp")


@pytest.mark.parametrize("text", [HINDI, TAMIL, VIETNAMESE, "नमस्\u200dते दुनिया", "it's fine"])
def test_no_word_is_cut_at_a_mark(text):
    assert [piece for piece in segmenter(False)(text) if not piece.isspace()] == text.split()


@pytest.mark.parametrize("text", [HINDI, TAMIL, VIETNAMESE, "สวัสดี ครับ", "a, b! 你好"])
def test_the_pieces_are_the_text(text):
    assert "".join(segmenter(False)(text)) == text


def test_the_linear_model_knows_whole_words():
    vectoriser = tfidf_vectoriser([HINDI, "है में"]).fit([HINDI, "है में"])
    assert {"हिन्दी", "में", "क्या", "है", "हिन्दी में"} <= set(vectoriser.get_feature_names_out())


@pytest.mark.parametrize("text", ["สวัสดีครับ", "こんにちは", "မင်္ဂလာပါ", "你好"])
def test_scripts_without_spaces_are_read_by_characters(text):
    assert tfidf_vectoriser([text, text]).analyzer == "char"
