"""What is read of a text that has more tokens than the model takes at once."""

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.text import words
from pipeline.text.encoding import TextEncoder
from pipeline.text.long_texts import LongTexts
from pipeline.text.wordpiece import WordPiece
from pipeline.text.words import TokeniserSettings
from tests.pipeline.text.test_tokenisation import ANY_TEXT, VOCABULARY


def encoder(way, length, most_windows=32, kind="ernie"):
    tokeniser = WordPiece(VOCABULARY, TokeniserSettings(kind), length)
    return TextEncoder("none", tokeniser, long_texts=LongTexts(way, "max", most_windows))


@given(st.lists(ANY_TEXT, max_size=6), st.integers(1, 50), st.integers(3, 40), st.sampled_from(words.KINDS))
def test_head_and_tail_are_the_first_and_the_last_ids_of_the_whole_text(texts, times, length, kind):
    texts = [text * times for text in texts]
    cut = encoder("head_tail", length, kind=kind).encode_checked(texts)
    all_ids, last = encoder("first", 100_000, kind=kind).encode_checked(texts).ids, (length - 2) // 2
    for ids, truncated, whole in zip(cut.ids, cut.truncated, all_ids):
        assert truncated == (len(whole) > length)
        both = [*whole[: length - 1 - last], *whole[len(whole) - 1 - last :]]
        assert ids.tolist() == (both if truncated else whole.tolist())


@pytest.mark.parametrize("characters_per_word", [1, 2, 3])
def test_the_last_words_do_not_depend_on_where_a_text_is_cut(monkeypatch, characters_per_word):
    monkeypatch.setattr(words, "CHARACTERS_PER_WORD", characters_per_word)
    splitter = words.WordSplitter(TokeniserSettings("bert", sep_token="[S-E-P]"))
    for parts in itertools.product(["a ", "bcd ", "我", "[S-E-P]", "e\u0301"], repeat=5):
        text = "".join(parts * 2)
        for count in (1, 3, 6):
            assert splitter.split_last(count, text) == splitter.split(text)[-count:], (count, text)


def test_windows_read_all_up_to_their_number():
    reading = encoder("windows", 10, most_windows=3)
    assert reading.most_tokens == 10 + 2 * 6
    encoded = reading.encode_checked(["裁" * 20, "裁" * 21, "裁"])
    assert [len(ids) for ids in encoded.ids] == [22, 22, 3]
    assert encoded.truncated.tolist() == [False, True, False]


@pytest.mark.parametrize("way", ["first", "head_tail", "windows"])
@pytest.mark.parametrize(
    "text",
    ["裁" * 1_000_000, "x" * 1_000_000, "lay off " * 125_000, "\x00" * 999_999 + "裁"],
    ids=["ideographs", "a word", "words", "no text"],
)
def test_a_million_characters_are_read_in_part_and_quickly(way, text):
    reading = encoder(way, 128)
    reading.encode_checked([text])
    started = time.process_time()
    encoded = reading.encode_checked([text])
    assert time.process_time() - started < 1
    assert len(encoded.ids[0]) <= reading.most_tokens


def test_a_text_of_a_thousand_windows_is_cut_and_told():
    reading = encoder("windows", 128)
    text = "裁" * 100_000
    assert [len(ids) for ids in reading.encode([text, "裁"])] == [reading.most_tokens, 3] == [128 + 31 * 95, 3]
    assert reading.encode_checked([text, "裁"]).truncated.tolist() == [True, False]


def test_the_least_length_reads_the_first_token_alone():
    assert encoder("head_tail", 3).encode(["裁员"])[0].tolist() == [2, 8, 3]
    assert encoder("windows", 3, most_windows=2).encode(["裁员,"])[0].tolist() == [2, 8, 9, 3]


@pytest.mark.parametrize(
    ("long_texts", "said"),
    [
        (LongTexts(), "the first 126 tokens of a text"),
        (LongTexts("head_tail"), "the first 63 and the last 63 tokens of a text"),
        (
            LongTexts("windows", "mean", 8),
            "a text in up to 8 windows of 126 tokens, which overlap by 31, and takes the mean of their logits for each "
            "label",
        ),
    ],
)
def test_it_is_told_in_words(long_texts, said):
    assert long_texts.in_words(128) == said
