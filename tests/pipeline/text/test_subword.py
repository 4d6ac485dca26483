"""Tokenisers in a tokenizer.json."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from pipeline.errors import InputError
from pipeline.text.encoding import TextEncoder
from pipeline.text.long_texts import LongTexts
from pipeline.text.subword import Subword
from pipeline.text.words import TokeniserSettings

NAMES = {"cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<mask>"}
SETTINGS = TokeniserSettings("subword", **NAMES)
SPECIALS = ["<pad>", "<unk>", "<s>", "</s>", "<mask>"]
TEXTS = ["富士康宣布裁员 strikes in Thai ประท้วง", "罢工罢工 déjà vu नमस्ते", "strike strikes striking 停产停业"] * 20


def write(folder, kind):
    tokeniser = Tokenizer(models.Unigram() if kind == "Unigram" else models.BPE(unk_token="<unk>"))
    tokeniser.normalizer = normalizers.NFKC()
    tokeniser.pre_tokenizer = pre_tokenizers.Metaspace()
    options = {"vocab_size": 120, "special_tokens": SPECIALS, "show_progress": False}
    trainer = (
        trainers.UnigramTrainer(unk_token="<unk>", **options) if kind == "Unigram" else trainers.BpeTrainer(**options)
    )
    tokeniser.train_from_iterator(TEXTS, trainer)
    tokeniser.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


@pytest.fixture(scope="module", params=["Unigram", "BPE"])
def path(request, tmp_path_factory):
    return write(tmp_path_factory.mktemp(request.param), request.param)


def test_ids_are_the_librarys_between_the_special_tokens(path):
    reference = Tokenizer.from_file(str(path))
    encoded = Subword(path, SETTINGS, 64).encode_flagged(TEXTS[:3])
    for ids, text in zip(encoded.ids, TEXTS):
        assert ids.tolist() == [2, *reference.encode(text, add_special_tokens=False).ids, 3]
        assert ids.dtype == np.int64
    assert not encoded.truncated.any()
    assert Subword(path, SETTINGS, 64).encode([]) == []


@given(st.lists(st.text(max_size=30) | st.sampled_from(TEXTS), max_size=4), st.integers(1, 60), st.integers(3, 40))
def test_a_cut_text_has_the_first_ids_of_the_whole_text(path, texts, times, max_length):
    texts = [text * times for text in texts]
    whole = Subword(path, SETTINGS, 100_000)
    cut = whole.with_length(max_length).encode_flagged(texts)
    for ids, truncated, all_ids in zip(cut.ids, cut.truncated, whole.encode(texts)):
        assert truncated == (len(all_ids) > max_length)
        assert ids.tolist() == [*all_ids[: max_length - 1], 3] if truncated else all_ids.tolist()


@given(st.sampled_from(TEXTS), st.integers(5, 60), st.integers(3, 40))
def test_head_and_tail_are_the_first_and_the_last_ids_of_the_whole_text(path, text, times, length):
    text, last = text * times, (length - 2) // 2
    whole = Subword(path, SETTINGS, 100_000).encode([text])[0].tolist()
    encoded = TextEncoder("none", Subword(path, SETTINGS, length), long_texts=LongTexts("head_tail")).encode_checked(
        [text]
    )
    assert encoded.truncated[0]
    assert encoded.ids[0].tolist() == [*whole[: length - 1 - last], *whole[len(whole) - 1 - last :]]


def test_a_special_token_in_a_text_is_text(path):
    ids = Subword(path, SETTINGS, 64).encode(["罢工</s><pad> 停产"])[0]
    assert ids[-1] == 3 and not set(ids[1:-1].tolist()) & {0, 2, 3, 4}


def test_texts_that_share_their_pieces_are_one(path):
    encoder = TextEncoder("half_width_composed", Subword(path, SETTINGS, 64))
    assert encoder.words("罢工　ｓｔｒｉｋｅ") == encoder.words("罢工 strike") != encoder.words("罢工 strikes")


def endless():
    """A component whose regular expression takes for ever, which ends in a panic of the library."""
    return {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False}


def test_dropout_is_refused(path, tmp_path):
    content = json.loads(path.read_text())
    content["model"]["dropout"] = 0.5
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="dropout is 0.5: a text would get other tokens each time"):
        Subword(tmp_path / "tokenizer.json", SETTINGS, 64)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda content: content["model"].update(type="WordLevel"),
            "its model is 'WordLevel'; supported are Unigram",
        ),
        (lambda content: content.update(normalizer={"type": "Python"}), r"tokenizer\.json is no tokeniser that loads"),
        (lambda content: content["added_tokens"].append({"id": 900, "content": "x"}), "no tokeniser that loads"),
        (lambda content: content.clear(), "its model is None"),
        (lambda content: content.update(pre_tokenizer=endless()), "no tokeniser that works"),
    ],
)
def test_a_file_that_is_no_such_tokeniser_is_refused(change, message, path, tmp_path):
    content = json.loads(path.read_text())
    change(content)
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        Subword(tmp_path / "tokenizer.json", SETTINGS, 64)


def test_a_missing_special_token_and_a_missing_file_are_named(path, tmp_path):
    with pytest.raises(InputError, match=r"tokenizer\.json lacks the special token \[CLS\]"):
        Subword(path, TokeniserSettings("subword", **{**NAMES, "cls_token": "[CLS]"}), 64)
    with pytest.raises(InputError, match=r"tokenizer\.json cannot be read: No such file"):
        Subword(tmp_path / "tokenizer.json", SETTINGS, 64)
    with pytest.raises(InputError, match="a maximum length of 2 leaves no room"):
        Subword(path, SETTINGS, 2)
