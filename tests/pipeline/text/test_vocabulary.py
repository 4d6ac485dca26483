import random
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.text.vocabulary import build_vocabulary
from pipeline.text.wordpiece import WordPiece
from pipeline.text.words import TokeniserSettings
from tests.conftest import PROJECT

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TEXTS = ["雀巢裁员4000人", "雀巢 layoffs, layoffs!", "The layoff of 2025", "今年裁员", "Running, runs and run"]


def test_special_tokens_then_characters_then_learnt_pieces():
    vocabulary = build_vocabulary(TEXTS, 60)
    assert vocabulary[:5] == SPECIALS
    assert {"裁", "员", "雀", "巢", ",", "##o", "layoff", "run"} <= set(vocabulary)
    assert "##员" not in vocabulary, "a CJK character never continues a word"
    assert "今" not in vocabulary, "seen once only"
    lengths = [len(token.replace("##", "")) for token in vocabulary[5:]]
    assert lengths.index(2) == lengths.count(1), "characters come before pieces"


def test_frequent_characters_win_where_room_is_short():
    assert build_vocabulary(["人人人 员员 裁 裁"], 7) == [*SPECIALS, "人", "员"]


def test_case_and_accents_follow_the_settings():
    assert "É" in build_vocabulary(["É É"], 10, TokeniserSettings(lower_case=False, strip_accents=False))
    assert build_vocabulary(["É É"], 10) == [*SPECIALS, "e"]


def test_a_special_token_within_the_texts_is_not_learnt_again():
    assert build_vocabulary(["[SEP] [SEP] a a"], 10) == [*SPECIALS, "a"]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text("abcé员 ,🎉", max_size=12), max_size=12), st.integers(6, 60), st.randoms())
def test_the_order_of_texts_does_not_matter(texts, size, rng):
    vocabulary = build_vocabulary(iter(texts), size)
    rng.shuffle(texts)
    assert build_vocabulary(texts, size) == vocabulary
    assert max(Counter(vocabulary).values()) == 1
    assert len(vocabulary) <= size


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text(max_size=20), max_size=10))
def test_texts_that_gave_the_vocabulary_have_no_unknown_token(texts):
    vocabulary = build_vocabulary(texts, 2_000, min_count=1)
    for ids in WordPiece(vocabulary, TokeniserSettings(), 512).encode(texts):
        assert vocabulary.index("[UNK]") not in ids


def test_every_process_gives_the_same_vocabulary():
    rng = random.Random(0)  # random words bring many ties
    texts = [" ".join("".join(rng.choices("abcdefghij", k=4)) for _ in range(100)) for _ in range(10)]
    code = f"from pipeline.text.vocabulary import build_vocabulary; print(*build_vocabulary({texts}, 120))"
    for _ in range(2):
        printed = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True, capture_output=True, text=True)
        assert printed.stdout.split() == build_vocabulary(texts, 120)


def test_too_small_a_size_is_refused():
    with pytest.raises(InputError, match="a vocabulary of 5 has no room beside its 5 special tokens"):
        build_vocabulary(TEXTS, 5)
