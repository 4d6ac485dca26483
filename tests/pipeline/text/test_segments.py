"""Texts read part by part have the library's ids."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from pipeline.text import segments
from pipeline.text.segments import segmenter
from tests.conftest import PROJECT, REAL_DATA

PIECES = [
    "<unk>",
    "▁",
    "罢",
    "工",
    "罢工",
    "停产",
    "了",
    "▁strike",
    "s",
    "st",
    "r",
    "ike",
    "龘龘",
    "ประ",
    "ท",
    "▁▁",
    "👍",
    "1",
    "11",
]


@pytest.fixture(scope="module")
def tokenizer():
    tokeniser = Tokenizer(models.Unigram([(piece, -1.7 - 0.37 * at) for at, piece in enumerate(PIECES)], unk_id=0))
    steps = [
        normalizers.Replace(Regex("[\x01-\x08]"), ""),
        normalizers.NFKC(),
        normalizers.Replace(Regex(" {2,}"), " "),
    ]
    tokeniser.normalizer = normalizers.Sequence(steps)
    tokeniser.pre_tokenizer = pre_tokenizers.Metaspace()
    return tokeniser


def library_ids(tokenizer, texts):
    return [each.ids for each in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]


def read_by_parts(tokenizer):
    return segmenter(json.loads(tokenizer.to_str()), tokenizer)


@given(st.text("罢工停产了strike 龘ประท▁👍１1x�\u0301é\n\x02\u3000", max_size=30) | st.text(max_size=20))
def test_ids_are_those_of_the_whole_text(tokenizer, text):
    assert read_by_parts(tokenizer)(text) == library_ids(tokenizer, [text])[0]


@pytest.mark.parametrize("normaliser", [None, normalizers.NFC(), normalizers.Lowercase(), normalizers.NFKD()])
@pytest.mark.parametrize("text", ["STRIKE é e\u0301 １ 罢工", "", "\u0301"])
def test_other_normalisers_are_followed(normaliser, text, tokenizer):
    other = Tokenizer.from_str(json.dumps({**json.loads(tokenizer.to_str()), "normalizer": None}))
    if normaliser:
        other.normalizer = normaliser
    assert read_by_parts(other)(text) == library_ids(other, [text])[0]


def test_unknown_characters_that_stand_together_are_one_token(tokenizer):
    assert read_by_parts(tokenizer)("罢xyz龘工") == [1, 2, 0, 3]


def test_what_is_remembered_is_bounded(tokenizer, monkeypatch):
    monkeypatch.setattr(segments, "REMEMBERED_PARTS", 3)
    read = read_by_parts(tokenizer)
    for text in ("罢工 停产 strikes", "x" * 100, "停产 罢工 了了了"):
        assert read(text) == library_ids(tokenizer, [text])[0]
        assert len(read._ids_of_part) <= 3
        assert all(len(part) <= segments.MOST_REMEMBERED_CHARACTERS for part in read._ids_of_part)


@pytest.mark.parametrize(
    "changes",
    [
        {"pre_tokenizer": None},
        {"pre_tokenizer": {"type": "Metaspace", "replacement": "_", "prepend_scheme": "always", "split": True}},
        {"pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": True}},
        {"pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": False}},
        {"added_tokens": [{"id": 0, "content": "<unk>"}]},
        {"model": {"type": "BPE", "vocab": {}}},
        {"model": {"type": "Unigram", "vocab": [], "byte_fallback": True}},
    ],
)
def test_what_reads_otherwise_is_left_to_the_library(tokenizer, changes):
    assert segmenter({**json.loads(tokenizer.to_str()), **changes}, tokenizer) is None


def test_real_texts_with_a_real_vocabulary():
    path, rows = PROJECT / "build" / "e5" / "tokenizer.json", REAL_DATA / "duee1" / "train.txt"
    if not path.exists() or not rows.exists():
        pytest.skip("it needs what `make e5` fetches, and the data in shared/data/duee1")
    tokenizer = Tokenizer.from_file(str(path))
    texts = [line.partition("\t")[0] for line in Path(rows).read_text(encoding="utf-8").splitlines()[:3000]]
    assert list(map(read_by_parts(tokenizer), texts)) == library_ids(tokenizer, texts)
