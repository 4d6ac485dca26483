"""Where the words of a text stand, and the text without some of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.explanation.words import EMPTY, without, word_spans
from tests.pipeline.text.test_tokenisation import ANY_TEXT

ALL = 10_000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("裁员3.5万人!", ["裁", "员", "3.5", "万", "人"]),
        ("What's my  U.S. balance, please?", ["What's", "my", "U.S", "balance", "please"]),
        ("👩\u200d🚀👍🏽 5€", ["👩\u200d🚀", "👍🏽", "5", "€"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("ไป", ["ไ", "ป"]),
        ("e\u0301te\u0301 '", ["e\u0301te\u0301"]),
        (" ...!\u0301", []),
        ("", []),
    ],
)
def test_a_word_is_what_a_reader_takes_for_one(text, words):
    assert [text[start:end] for start, end in word_spans(text, ALL)] == words


def test_a_word_that_is_not_read_to_its_end_is_left_out():
    assert word_spans("one two", 5) == [(0, 3)]
    assert word_spans("one two", 7) == [(0, 3), (4, 7)]
    assert word_spans("a" * 50, 20) == []


@pytest.mark.parametrize(
    ("text", "span", "left"),
    [
        ("公司裁员了", (2, 4), "公司了"),
        ("state-of", (5, 6), "state of"),
        ("the cat sat", (4, 7), "the  sat"),
        ("裁", (0, 1), EMPTY),
        ("裁!", (0, 1), "!"),
    ],
)
def test_what_is_left_is_as_it_was(text, span, left):
    assert without(text, [span]) == left


@given(ANY_TEXT, st.sets(st.integers(0, 50)))
def test_words_lie_behind_each_other_and_leave_the_others(text, chosen):
    spans = word_spans(text, ALL)
    assert all(start < end for start, end in spans)
    assert all(first[1] <= second[0] for first, second in zip(spans, spans[1:]))
    gone = [span for number, span in enumerate(spans) if number in chosen]
    kept = "".join(text[start:end] for start, end in spans if (start, end) not in gone)
    left = without(text, gone)
    if kept:
        assert "".join(left[start:end] for start, end in word_spans(left, ALL)).replace(" ", "") == kept
