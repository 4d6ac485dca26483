"""The linear part: n-grams as scikit-learn counts them, in numpy alone, from a file that nobody has altered."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from pipeline.errors import InputError
from pipeline.text.linear import MOST_CHARACTERS, LinearPart, combined, tfidf
from pipeline.text.ngrams import CHARACTERS, IN_WORDS, WORDS, NgramTable
from training.linear.features import learn_tables, matrix

CHINESE = ["今天裁员了三百人", "公司宣布裁员 300 人", "股价上涨😀", "上涨,上涨,再上涨", "新品发布会"]
ENGLISH = ["The ship left port.", "wheat, wheat & oats", "port of call", "no wheat left", "café au lait"]
HINDI = ["मुझे किताब चाहिए", "मुझे कताब चाहिए", "किताब अच्छी है"]


def part_of(texts, labels=3, seed=0):
    tables, rarity = learn_tables(texts, labels)
    random = np.random.default_rng(seed)
    return LinearPart(tables, rarity, random.normal(size=(len(rarity), labels)), random.normal(size=labels))


@pytest.mark.parametrize("texts", [CHINESE, CHINESE[:1] * 3], ids=["different", "the same"])
def test_character_ngrams_weigh_what_scikit_learn_gives_them(texts):
    tables, rarity = learn_tables(texts, 1)
    (table,) = tables
    expected = TfidfVectorizer(analyzer="char", ngram_range=(1, 2), sublinear_tf=True).fit(texts)
    assert table.kind == CHARACTERS and table.size == len(expected.vocabulary_)
    asked = [*texts, "上涨裁员x", "unknown"]
    own, other = matrix(tables, rarity, asked), expected.transform(asked)
    for mine, theirs in zip(own, other):
        assert np.allclose(np.sort(mine.data), np.sort(theirs.data), atol=1e-6)
    assert np.allclose((own @ own.T).toarray(), (other @ other.T).toarray(), atol=1e-6)


def test_words_and_their_pairs_weigh_what_scikit_learn_gives_them():
    tables, rarity = learn_tables(ENGLISH, 1)
    words = tables[0]
    assert words.kind == WORDS
    expected = TfidfVectorizer(token_pattern=r"[\w]+", ngram_range=(1, 2), sublinear_tf=True).fit(ENGLISH)
    assert words.size == len(expected.vocabulary_)
    own, other = matrix([words], rarity[: words.size], ENGLISH), expected.transform(ENGLISH)
    assert np.allclose((own @ own.T).toarray(), (other @ other.T).toarray(), atol=1e-6)


def test_characters_beyond_all_that_are_known_and_nul_are_no_ngrams_and_join_none():
    table = NgramTable(CHARACTERS, ["a", "b"], [np.array([1])])  # a, b, ab
    found = table.find(["ab", "a\0b", "a😀b", "c", ""])
    assert list(zip(found.texts.tolist(), found.features.tolist())) == [
        *((0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)),
        (0, 2),
    ]
    assert not len(NgramTable(CHARACTERS, []).find(["ab"]).texts)


def test_ngrams_within_words_end_where_the_word_ends():
    texts = ["ab cd"] * 3
    table = learn_tables(texts, 1)[0][1]
    assert table.kind == IN_WORDS
    assert table.size == len({" ", "a", "b", "c", "d", " a", "ab", "b ", " c", "cd", "d ", " ab", "ab ", " cd", "cd ",
                              " ab ", " cd "})  # fmt: skip


def test_vowel_signs_tell_words_apart():
    tables, rarity = learn_tables(HINDI, 1)
    assert {"किताब", "कताब"} <= set(tables[0].symbols)
    first, second = matrix(tables[:1], rarity[: tables[0].size], HINDI[:2])
    assert (first != second).nnz


@given(st.lists(st.text(max_size=40), max_size=6))
def test_any_texts_have_logits_each_as_if_alone(texts):
    part = part_of([*CHINESE, *ENGLISH])
    together = part.logits(texts)
    assert together.shape == (len(texts), 3) and np.isfinite(together).all()
    for text, row in zip(texts, together):
        assert np.array_equal(part.logits([text])[0], row)


def test_a_text_without_a_known_ngram_gets_the_offsets():
    part = part_of(CHINESE)
    assert np.array_equal(part.logits(["", "xyz"]), np.tile(part.offsets, (2, 1)))


def test_what_was_written_is_read(tmp_path):
    for texts in (CHINESE, ENGLISH):
        part = part_of(texts)
        part.write(tmp_path / "one.npz")
        part.write(tmp_path / "two.npz")
        assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
        assert np.allclose(LinearPart.read(tmp_path / "one.npz").logits(texts), part.logits(texts), atol=5e-3)


@pytest.mark.parametrize(
    "change",
    [
        {"weights": np.zeros((3, 3))},
        {"weights": np.array([object()])},
        {"offsets": np.array([np.nan, 0, 0])},
        {"table0.symbols": np.array([0xFF, 0xFE], np.uint8)},
        {"table0.symbols": np.frombuffer(b"ba", np.uint8)},
        {"table0.kind": np.array(7)},
        {"table0.kind": np.array([1, 2])},
        {"table0.level0": np.array([5, 3])},
        {"rarity": None},
    ],
    ids=lambda change: "-".join(change),
)
def test_an_altered_file_is_refused_with_its_name(tmp_path, change):
    path = tmp_path / "linear.npz"
    part_of(CHINESE).write(path)
    with np.load(path) as archive:
        arrays = dict(archive)
    arrays.update(change)
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(InputError, match="linear.npz"):
        LinearPart.read(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x04\x95", b"no archive"])
def test_what_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "linear.npz").write_bytes(content)
    with pytest.raises(InputError, match="no linear part"):
        LinearPart.read(tmp_path / "linear.npz")


def test_a_long_text_costs_no_more_than_what_is_read_of_it():
    part = part_of(ENGLISH)
    long = ("wheat " * MOST_CHARACTERS)[:MOST_CHARACTERS]
    started = time.process_time()
    assert np.array_equal(part.logits([long + "port " * 30_000]), part.logits([long]))
    assert time.process_time() - started < 5


def test_a_table_wants_its_symbols_in_order():
    with pytest.raises(InputError, match="not in order"):
        NgramTable(WORDS, ["b", "a"])
    with pytest.raises(InputError, match="unknown n-grams"):
        NgramTable("letters", ["a"])


def test_an_encoder_counts_by_its_weight():
    logits, linear = np.ones((1, 2), np.float32), np.full((1, 2), 3, np.float32)
    assert combined(logits, None, None) is logits
    assert np.array_equal(combined(logits, linear, 0.5), [[3.5, 3.5]])
    assert np.array_equal(combined(logits, linear, 0.0), linear)


def test_no_tables_give_no_features():
    owners, features, values = tfidf([], np.empty(0, np.float32), ["a"])
    assert len(owners) == len(features) == len(values) == 0
