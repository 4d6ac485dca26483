"""WordPiece that a tokenizer.json alone describes becomes BERT's vocabulary and settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.records import read_object
from pipeline.text.vocabulary import CONTINUATION
from pipeline.text.wordpiece import MAX_WORD_CHARACTERS, VOCABULARY_FILE

WORDPIECE = "WordPiece"
_NORMALISER, _PRE_TOKENISER = "BertNormalizer", "BertPreTokenizer"


def write_described_wordpiece(path: Path, special_tokens: Mapping[str, str], folder: Path) -> None:
    """Write vocab.txt and tokenizer_config.json to `folder`.

    Args:
        path: of a tokenizer.json whose model is WordPiece.
        special_tokens: by their names there, such as `unk_token`, where they are not BERT's.

    Raises:
        InputError: it reads texts otherwise than BERT's tokeniser, or its vocabulary is none.
    """
    from paddlenlp.transformers import BertTokenizer

    described = read_object(path)
    model, normaliser = (_part(path, described, name) for name in ("model", "normalizer"))
    expected = {
        "normalizer": (normaliser.get("type"), _NORMALISER),
        "pre_tokenizer": (_part(path, described, "pre_tokenizer").get("type"), _PRE_TOKENISER),
        "continuing_subword_prefix": (model.get("continuing_subword_prefix"), CONTINUATION),
        "max_input_chars_per_word": (model.get("max_input_chars_per_word"), MAX_WORD_CHARACTERS),
    }
    for name, (found, supported) in expected.items():
        if found != supported:
            raise InputError(f"{path}: {name} of its WordPiece is {found!r:.60}; only {supported!r} is read")
    (folder / VOCABULARY_FILE).write_text("".join(f"{token}\n" for token in _vocabulary(path, model)), encoding="utf-8")
    settings = {
        "do_lower_case": normaliser.get("lowercase", True),
        "tokenize_chinese_chars": normaliser.get("handle_chinese_chars", True),
        "strip_accents": normaliser.get("strip_accents"),
    }
    known = {name: value for name, value in settings.items() if value is not None}
    BertTokenizer(str(folder / VOCABULARY_FILE), **known, **special_tokens).save_pretrained(str(folder))


def _part(path: Path, described: dict[str, Any], name: str) -> dict[str, Any]:
    part = described.get(name) or {}
    if not isinstance(part, dict):
        raise InputError(f"{path}: {name} is {part!r:.60}; a JSON object is needed")
    return part


def _vocabulary(path: Path, model: dict[str, Any]) -> list[str]:
    """The tokens by id; raises InputError where the ids leave gaps, or a token would be two lines."""
    ids = model.get("vocab")
    if not isinstance(ids, dict) or not all(type(number) is int for number in ids.values()):
        raise InputError(f"{path}: its vocabulary is no object from tokens to ids")
    if sorted(ids.values()) != list(range(len(ids))):
        raise InputError(f"{path}: the ids of its {len(ids):,} tokens are not 0 to {len(ids) - 1:,}")
    if broken := [token for token in ids if "\n" in token]:
        raise InputError(f"{path}: the token {broken[0]!r:.60} has a line's end, which {VOCABULARY_FILE} cannot hold")
    return sorted(ids, key=ids.__getitem__)
