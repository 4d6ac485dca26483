import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.text import normalisation
from pipeline.text.normalisation import MAX_TEXT_CHARACTERS, NORMALISATIONS, check_text, decode_text, normalise


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ＡＢＣ，２０２５！（～）", "ABC,2025!(~)"),
        ("雀巢　裁员", "雀巢 裁员"),
        ("  first\r\nsecond\tthird\u00a0 \u2028fourth \n", "first second third fourth"),
        ("。、「」 and ｶﾅ stay", "。、「」 and ｶﾅ stay"),
        ("a\x00b 😀", "a\x00b 😀"),
        (" \n\u3000 ", ""),
    ],
)
def test_half_width(text, expected):
    assert normalise(text) == normalise(text, "half_width") == expected


@pytest.mark.parametrize("text", ["tiếng Việt", "が", "й", "Å"])
def test_a_letter_and_its_marks_are_one_however_they_are_written(text):
    assert {normalise(unicodedata.normalize(form, text)) for form in ("NFC", "NFD")} == {text}


MARKS = "\u0301\u0316\u0308\u0323\u0344\u0f71\u0f72\u0f73\u0f81\u3099"  # some decompose into two marks


@given(st.text(alphabet=MARKS + "aeか好\u00e9\u1ebf\u1100\u1161\u11a8 ", max_size=90), st.text(MARKS, max_size=90))
def test_many_marks_in_a_row_are_composed_as_any(text, marks):
    expected = unicodedata.normalize("NFC", normalise(text + marks, "half_width"))
    assert normalise(text + marks) == expected


@pytest.mark.parametrize("unit", ["\u0301\u0316", "\u0316\u0344", "\u0f73"])
def test_a_flood_of_marks_takes_time_in_proportion_to_its_length(unit):
    flood = ("好" + unit * MAX_TEXT_CHARACTERS)[:MAX_TEXT_CHARACTERS]
    began = time.process_time()
    normalise(flood)
    assert time.process_time() - began < 10  # seconds; ordering each mark by insertion takes minutes


def test_none_leaves_a_text_as_it_is():
    assert normalise(" Ａ\t\n", "none") == " Ａ\t\n"


@given(st.text(), st.sampled_from(sorted(NORMALISATIONS)))
def test_normalising_twice_changes_nothing_more(text, name):
    once = normalise(text, name)
    assert normalise(once, name) == once


def test_an_unknown_normalisation_is_refused_with_the_known_ones():
    known = "none, half_width, half_width_composed"
    with pytest.raises(InputError, match=f"unknown normalisation 'nfkc'; this version knows {known}"):
        normalise("text", "nfkc")


@pytest.mark.parametrize("text", ["裁员", "a", "a\x00", "\u200b.", "x" * MAX_TEXT_CHARACTERS, "\ud800a", "  ！"])
def test_a_text_with_something_to_see_is_accepted(text):
    check_text(text, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"row 3: text is empty; .*send a text with visible characters"),
        (" \t\u3000", r"row 3: text ' \\t\\u3000' has only white space and control characters"),
        ("\x00\u200b\ufeff\ufffd\ud800", "row 3: .* only white space and control characters"),
        ("x" * (MAX_TEXT_CHARACTERS + 1), "row 3: text of 200,001 characters is longer than the limit of 200,000"),
        (None, "row 3: a text is needed, not NoneType None"),
        (b"text", "row 3: a text is needed, not bytes b'text'"),
    ],
)
def test_a_text_that_cannot_be_classified_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        check_text(text, 3)


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_utf8_is_decoded(text):
    assert decode_text(text.encode(), 0) == text


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("裁员".encode("gb18030"), "row 7: text is not UTF-8: byte 0xb2 at offset 0"),
        (b"ab\xff", "row 7: .* byte 0xff at offset 2"),
        ("é".encode()[:1], "row 7: .* byte 0xc3 at offset 0 .unexpected end of data"),
        (b"a\xed\xa0\x80", "row 7: .* byte 0xed at offset 1"),  # a lone surrogate
    ],
)
def test_other_bytes_are_refused_with_row_and_offset(raw, message):
    with pytest.raises(InputError, match=message):
        decode_text(raw, 7)


@pytest.mark.parametrize("before", range(70))
def test_a_run_of_marks_is_noticed_wherever_it_stands(before):
    text = "é" * before + "\u0301\u0316" * 16
    assert normalise(text) == unicodedata.normalize("NFC", text)
    assert normalisation._may_be_flood(text), "it would take quadratic time"
