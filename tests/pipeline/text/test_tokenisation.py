"""The tokeniser, and the proof that it equals paddlenlp's, id for id."""

import itertools
import json
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.text import wordpiece, words
from pipeline.text.tokeniser_files import checkpoint_tokeniser
from pipeline.text.vocabulary import build_vocabulary
from pipeline.text.wordpiece import WordPiece, read_vocabulary
from pipeline.text.words import TokeniserSettings
from tests.conftest import PROJECT, REAL_DATA

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = [*SPECIALS, "lay", "##off", "##s", "裁", "员", ",", "4", "##0", "[", "]", "sep"]

# What has led tokenisers astray: special tokens whole and in parts, all kinds of space, characters that are
# dropped, decomposed, reordered, or lower-cased to several, symbols and scripts without spaces.
FRAGMENTS = [
    *SPECIALS,
    *("[S", "EP]", "[sep]", "[", "]", "[S\x00EP]", "[SÉP]", "[SE\u0301P]", "[M\u0301ASK]", "[ＳＥＰ]", "##a", "lay"),
    *(" ", "\n", "\t", "\r", "\u00a0", "\u3000", "\u2028", "\u2029", "\x0b", "\x1c", "\x85", "\u180e", "\u200b"),
    *("\x00", "\x7f", "\ufeff", "\ufffd", "\ud800", "\ue000", "\u00ad", "\U000e0100", "\u034f", "\u0301", "\u0308"),
    *("\u302e", "\u1715", "\U0001d165", "\U0001d16d", "\U0001d15e", "İ", "ΑΣ", "ß", "ẞ", "ﬁ", "é", "Å", "ậ", "≠"),
    *("我", "龥", "𠀀", "豈", "〇", "Ⅳ", "²", "µ", "º", "Ø", "ŋ", "Ʊ", "１２", "Ａ", "，", "。", "4.5%", "a@b.c"),
    *("x" * 100, "x" * 101),
    *("한국어", "カタカナ", "が", "か\u3099", "क्ष", "ا", "😀", "👨‍👩‍👧", "🇨🇳", "❤️", "𝔘", "layoffs", "裁员"),
]
ANY_TEXT = st.lists(st.sampled_from(FRAGMENTS) | st.characters(exclude_categories=()), max_size=12).map("".join)


def test_a_text_becomes_the_ids_of_its_words():
    tokeniser = WordPiece(VOCABULARY, TokeniserSettings(), max_length=8)
    encoded = tokeniser.encode_flagged(["Layoffs,裁员", "裁\x00 走", "400 [SEP] layoffs layoffs", ""])
    assert [ids.tolist() for ids in encoded.ids] == [
        [2, 5, 6, 7, 10, 8, 9, 3],
        [2, 8, 1, 3],
        [2, 11, 12, 12, 3, 5, 6, 3],
        [2, 3],
    ]
    assert encoded.truncated.tolist() == [False, False, True, False]
    assert all(ids.dtype == np.int64 for ids in encoded.ids)
    assert tokeniser.encode([]) == []


@settings(deadline=None)
@given(st.lists(ANY_TEXT, max_size=6), st.integers(1, 50), st.integers(3, 40), st.sampled_from(words.KINDS))
def test_a_cut_text_has_the_first_ids_of_the_whole_text(texts, times, max_length, kind):
    texts = [text * times for text in texts]
    cut = WordPiece(VOCABULARY, TokeniserSettings(kind), max_length).encode_flagged(texts)
    whole = WordPiece(VOCABULARY, TokeniserSettings(kind), 100_000).encode(texts)
    for ids, truncated, all_ids in zip(cut.ids, cut.truncated, whole):
        assert truncated == (len(all_ids) > max_length)
        assert ids.tolist() == [*all_ids[: max_length - 1], 3] if truncated else all_ids.tolist()


@pytest.mark.parametrize("characters_per_word", [1, 2, 3])
def test_the_first_words_do_not_depend_on_where_a_text_is_cut(monkeypatch, characters_per_word):
    monkeypatch.setattr(words, "CHARACTERS_PER_WORD", characters_per_word)
    splitter = words.WordSplitter(TokeniserSettings("bert", sep_token="[S-E-P]"))
    for parts in itertools.product(["a ", "bcd ", "我", "[S-E-P]", "e\u0301"], repeat=5):
        text = "".join(parts * 2)
        for count in (1, 3, 6):
            assert splitter.split_first(count, text) == splitter.split(text)[:count], (count, text)


@settings(deadline=None)
@given(st.lists(ANY_TEXT, max_size=6))
def test_what_is_remembered_changes_no_ids(texts):
    fresh, forgetful = (WordPiece(VOCABULARY, TokeniserSettings(), 64) for _ in range(2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words, "TABLE_CHARACTERS", 2)
        patch.setattr(wordpiece, "REMEMBERED_WORDS", 2)
        forgot = [ids.tolist() for ids in forgetful.encode(texts)]
        assert len(forgetful._ids_of_word) <= 2
    assert [ids.tolist() for ids in fresh.encode(texts)] == forgot


def test_importing_loads_no_library_but_numpy():
    imports = "import sys, pipeline.text.tokeniser_files, pipeline.text.vocabulary"
    code = f"{imports}; print({{'tokenizers', 'paddle'}} & set(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True, capture_output=True, text=True)
    assert printed.stdout.strip() == "set()"


# Settings and files


def test_settings_survive_json():
    settings_ = TokeniserSettings("bert", lower_case=False, strip_accents=False, unk_token="<unk>")
    assert TokeniserSettings.from_json(json.loads(json.dumps(settings_.to_json()))) == settings_


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "gpt"}, "unknown kind of tokeniser 'gpt'; this version knows bert, ernie"),
        ({"lower_case": "yes"}, "lower_case of the tokeniser must be true or false, not 'yes'"),
        ({"cls_token": None}, "special token must be a string without white space, not None"),
        ({"cls_token": "[C LS]"}, "special token must be a string without white space, not '.C LS.'"),
        ({"cls_token": ""}, "special token must be a string"),
        ({"colour": 1}, "missing or unknown tokeniser settings: colour"),
    ],
)
def test_wrong_settings_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        TokeniserSettings.from_json({**TokeniserSettings().to_json(), **change})


def test_a_missing_setting_is_refused():
    with pytest.raises(InputError, match="missing or unknown tokeniser settings: .*kind"):
        TokeniserSettings.from_json({})


@pytest.fixture
def checkpoint(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "ErnieTokenizer", "do_lower_case": false}')
    return tmp_path


def test_a_checkpoint_brings_its_vocabulary_and_settings(checkpoint):
    tokeniser = checkpoint_tokeniser(checkpoint, max_length=128)
    assert tokeniser.settings == TokeniserSettings("ernie", lower_case=False, strip_accents=False)
    assert (tokeniser.vocabulary_size, tokeniser.pad_id, tokeniser.max_length) == (len(VOCABULARY), 0, 128)
    assert tokeniser.encode(["layoff Layoff"])[0].tolist() == [2, 5, 6, 1, 3]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("vocab.txt", None, r"vocab.txt cannot be read: No such file"),
        ("vocab.txt", b"[PAD]\n\xff", "vocab.txt is not UTF-8 at byte 6"),
        ("vocab.txt", b"[PAD]\n[UNK]\n[SEP]\n", r"vocab.txt lacks the special token \[CLS\], \[MASK\]"),
        ("tokenizer_config.json", None, "tokenizer_config.json cannot be read: No such file"),
        ("tokenizer_config.json", b"{", "tokenizer_config.json is no JSON"),
        ("tokenizer_config.json", b"[]", "tokenizer_config.json must hold a JSON object"),
        ("tokenizer_config.json", b"{}", "tokenizer_class is None; supported are BertTokenizer, ErnieTokenizer"),
        (
            "tokenizer_config.json",
            b'{"tokenizer_class": ["BertTokenizer"]}',
            "tokenizer_class is .*; supported are BertTokenizer",
        ),
        (
            "tokenizer_config.json",
            b'{"tokenizer_class": "BertTokenizer", "never_split": ["C++"]}',
            r"never_split is \['C\+\+'\]; only \[\] is supported",
        ),
        ("added_tokens.json", b'{"C++": 16}', "added_tokens.json adds tokens to the vocabulary"),
    ],
)
def test_a_wrong_checkpoint_is_refused_with_the_file(checkpoint, file, content, message):
    (checkpoint / file).unlink(missing_ok=True)
    if content is not None:
        (checkpoint / file).write_bytes(content)
    with pytest.raises(InputError, match=message):
        checkpoint_tokeniser(checkpoint, 128)


def test_too_short_a_maximum_length_is_refused():
    with pytest.raises(InputError, match="a maximum length of 2 leaves no room for text"):
        WordPiece(VOCABULARY, TokeniserSettings(), 2)


# Equality with paddlenlp


CONFIGURATIONS = {
    "ernie": ("ErnieTokenizer", {}),
    "ernie-cased": ("ErnieTokenizer", {"do_lower_case": False}),
    "bert": ("BertTokenizer", {}),
    "bert-cased": ("BertTokenizer", {"do_lower_case": False}),
    "bert-cased-without-accents": ("BertTokenizer", {"do_lower_case": False, "strip_accents": True}),
    "bert-with-accents": ("BertTokenizer", {"strip_accents": False}),
    "bert-with-cjk-words": ("BertTokenizer", {"tokenize_chinese_chars": False}),
    "bert-odd-specials": (
        "BertTokenizer",
        {"unk_token": "lay", "cls_token": "<s>", "sep_token": "[S", "pad_token": "=", "mask_token": "我裁"},
    ),
}


@pytest.fixture(scope="session")
def transformers():
    return pytest.importorskip("paddlenlp.transformers", reason="paddlenlp, to compare with, is not installed")


def pair(transformers, folder, configuration, vocabulary):
    """paddlenlp's tokeniser and ours, from the files that paddlenlp wrote."""
    name, options = CONFIGURATIONS[configuration]
    tokens = [*vocabulary, *(token for key, token in options.items() if key.endswith("_token"))]
    (folder / "tokens.txt").write_text("".join(f"{token}\n" for token in tokens), encoding="utf-8")
    tokenizer_class = getattr(transformers, name)
    tokenizer_class(str(folder / "tokens.txt"), **options).save_pretrained(str(folder))
    return tokenizer_class.from_pretrained(str(folder)), checkpoint_tokeniser(folder, 128)


def assert_equal(reference, tokeniser, texts):
    for text, ids in zip(texts, tokeniser.encode(texts)):
        expected = reference(text, max_length=tokeniser.max_length, truncation=True)["input_ids"]
        assert ids.tolist() == expected, ascii(text[:200])


@pytest.fixture(scope="session", params=list(CONFIGURATIONS))
def pairs(request, transformers, tmp_path_factory):
    """A pair of tokenisers with a vocabulary that knows every other fragment."""
    texts = [fragment.replace("\ud800", "") for fragment in [*FRAGMENTS[::2], "layoff", "##a", "xx"]]
    lower, cased = (TokeniserSettings(lower_case=lower, strip_accents=lower) for lower in (True, False))
    vocabulary = [*build_vocabulary(texts, 500, lower, 1), *build_vocabulary(texts, 500, cased, 1)]
    return pair(transformers, tmp_path_factory.mktemp(request.param), request.param, vocabulary)


def test_crafted_texts_equal_paddlenlp(pairs):
    couples = map("".join, itertools.product(FRAGMENTS, repeat=2))
    rng = random.Random(0)
    longer = ["".join(rng.choices(FRAGMENTS, k=rng.randint(3, 12))) for _ in range(500)]
    assert_equal(*pairs, [*FRAGMENTS, *rng.sample(list(couples), 1_000), *longer])


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(texts=st.lists(ANY_TEXT, max_size=10))
def test_any_text_equals_paddlenlp(pairs, texts):
    assert_equal(*pairs, texts)


@pytest.mark.parametrize("configuration", ["ernie", "bert"])
def test_texts_of_100000_characters_equal_paddlenlp(transformers, tmp_path, configuration):
    units = ["裁员4000人,", "Layoffs in 2025. ", "x", " ", "\x00", "[SEP]", "[S", "[e\u0301", "\u302e", "😀"]
    texts = [f"裁{unit * (99_998 // len(unit))}员" for unit in units]
    assert_equal(*pair(transformers, tmp_path, configuration, [*VOCABULARY, "人", "😀", "x", "\u302e"]), texts)


@pytest.mark.parametrize("configuration", ["ernie", "bert"])
def test_many_marks_in_disorder_equal_paddlenlp(transformers, tmp_path, configuration):
    reference, tokeniser = pair(
        transformers, tmp_path, configuration, [*VOCABULARY, "\U0001d165", "##\U0001d165", "##\u302e"]
    )
    assert_equal(reference, tokeniser, ["\u302e\U0001d165" * 30, "[\u0301\u0323\u302e\U0001d165" * 200])
    # Ordering them would take paddlenlp minutes here: its time is quadratic in their number.
    assert tokeniser.encode(["\u302e\U0001d165" * 100_000])[0].tolist() == [2, 1, 3]


@pytest.mark.parametrize(("lower_case", "strip_accents"), itertools.product([True, False], repeat=2))
def test_every_kind_of_character_is_split_as_in_paddlenlp(transformers, lower_case, strip_accents):
    reference = transformers.BasicTokenizer(lower_case, strip_accents=strip_accents)
    splitter = words.WordSplitter(TokeniserSettings("bert", lower_case, strip_accents))
    # Left out: the inner parts of the large blocks of CJK, Hangul and private use.
    ranges = [(0, 0x3500), (0x4DB0, 0x4E10), (0x9FF0, 0xAC10), (0xD790, 0xE010), (0xF8F0, 0x12400), (0x1D000, 0x20010)]
    for code in itertools.chain.from_iterable(itertools.starmap(range, ranges)):
        text = f"a{chr(code)}b"
        assert splitter.split(text) == reference.tokenize(text), hex(code)


def real_texts():
    """Some 10,700 texts; the long ones of the third dataset are few, for paddlenlp takes its time."""
    texts = []
    for dataset, step in (("duee1", 2), ("clinc150", 3), ("reuters21578", 20)):
        path = REAL_DATA / dataset / "train.txt"
        if not path.is_file():
            pytest.skip(f"{path}, the real texts to compare on, is not there")
        texts += [line.split("\t")[0] for line in path.read_text(encoding="utf-8").splitlines()[::step]]
    return texts


@pytest.mark.parametrize("configuration", ["ernie", "bert"])
def test_real_texts_equal_paddlenlp(transformers, tmp_path, configuration):
    texts = real_texts()
    assert len(texts) >= 10_000
    reference, tokeniser = pair(transformers, tmp_path, configuration, build_vocabulary(texts, 12_000))
    assert_equal(reference, tokeniser, texts)


@pytest.mark.parametrize("configuration", ["ernie", "bert"])
def test_a_vocabulary_file_is_read_as_paddlenlp_reads_it(transformers, tmp_path, configuration):
    lines = [*SPECIALS, "lay", "", "##off", "lay", "\u2028a", " b", "b ", "b", "\ufeff", "裁\r", "员", ""]
    reference, tokeniser = pair(transformers, tmp_path, configuration, lines)
    assert_equal(reference, tokeniser, ["lay layoff", "b", "a", "裁员"])
    vocabulary = read_vocabulary(tmp_path / "vocab.txt")
    assert {token: index for index, token in enumerate(vocabulary)} == reference.vocab.token_to_idx
