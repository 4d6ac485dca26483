"""Pieces learnt from texts whose scripts put no spaces between words."""

import json
import random

import pytest

from pipeline.errors import InputError
from pipeline.text.tokeniser_files import SPECIAL_TOKENS, checkpoint_tokeniser, write_subword
from pipeline.text.unspaced import LEAST_SHARE, learn_pieces, share_of_unspaced
from pipeline.text.words import TokeniserSettings

SETTINGS = TokeniserSettings(kind="bert", strip_accents=False)
WORDS = ["ข่าว", "ข้าว", "วันนี้", "iPhone", "12"]


def texts(rows=200):
    source = random.Random(1)
    return ["".join(source.choices(WORDS, k=8)) for _ in range(rows)]


@pytest.fixture
def tokeniser(tmp_path):
    names = {key: getattr(SETTINGS, key) for key in SPECIAL_TOKENS}
    write_subword(learn_pieces(texts(), 300, SETTINGS), names, tmp_path)
    return checkpoint_tokeniser(tmp_path, 64)


@pytest.mark.parametrize(
    ("text", "share"),
    [("ข่าว", 1), ("ข่าว news", 0.5), ("你好", 0), ("はん", 1), ("tiếng Việt", 0), ("हिन्दी", 0), ("12 !", 0), ("", 0)],
)
def test_scripts_that_need_pieces(text, share):
    assert share_of_unspaced([text]) == share


def test_chinese_and_english_keep_their_words():
    assert share_of_unspaced(["雀巢裁员4000人", "layoffs at カ" + "a" * 300]) < LEAST_SHARE


def test_words_are_found_in_runs(tokeniser):
    assert {"ข่าว", "ข้าว", "วันนี้", "iphone"} & set(tokeniser.words("ข่าววันนี้ข้าวiPHONE")) >= {"วันนี้", "iphone"}
    assert tokeniser.words("ข่าว") != tokeniser.words("ข้าว")


def test_a_long_run_is_no_unknown_token(tokeniser):
    ids = tokeniser.encode(["ข่าววันนี้" * 40])[0]
    assert tokeniser.unknown_id not in ids
    ids = tokeniser.encode(["ข่าว\u0e5bวันนี้"])[0]
    assert (ids == tokeniser.unknown_id).sum() == 1, "of a character that is not known nothing else depends"


def test_special_tokens_in_a_text_are_text(tokeniser):
    assert not set(tokeniser.special_ids) - {tokeniser.unknown_id} & set(tokeniser.encode(["[MASK] [PAD]"])[0][1:-1])


def test_the_order_of_the_texts_does_not_count():
    first, second = texts(), texts()[::-1]
    assert json.dumps(learn_pieces(first, 300, SETTINGS)) == json.dumps(learn_pieces(second, 300, SETTINGS))


def test_rare_characters_and_special_tokens():
    vocabulary = learn_pieces(["กกขขค", "ก"], 300, SETTINGS)["model"]["vocab"]
    assert list(vocabulary) == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "ก", "ข"]
    assert list(vocabulary.values()) == list(range(7))
    with pytest.raises(InputError, match="a vocabulary of 5 has no room"):
        learn_pieces(["ก"], 5, SETTINGS)
