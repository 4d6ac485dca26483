"""Which tokeniser a folder holds: WordPiece in vocab.txt, or another in tokenizer.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.records import read_object
from pipeline.text.subword import TOKENISER_FILE, Subword
from pipeline.text.tokenisation import Tokeniser
from pipeline.text.wordpiece import VOCABULARY_FILE, WordPiece
from pipeline.text.words import SUBWORD, TokeniserSettings

CONFIG_FILE = "tokenizer_config.json"
ADDED_TOKENS_FILE = "added_tokens.json"

_KIND_OF_CLASS = {"BertTokenizer": "bert", "ErnieTokenizer": "ernie"}
SUBWORD_CLASS = "PreTrainedTokenizerFast"
SPECIAL_TOKENS = ("unk_token", "pad_token", "cls_token", "sep_token", "mask_token")


def tokeniser_file(settings: TokeniserSettings) -> str:
    """The name of the file that a tokeniser with these settings is read from."""
    return TOKENISER_FILE if settings.kind == SUBWORD else VOCABULARY_FILE


def open_tokeniser(path: Path, settings: TokeniserSettings, max_length: int) -> Tokeniser:
    """The tokeniser with these settings, in the file `path`; raises InputError as its class does."""
    return (Subword if settings.kind == SUBWORD else WordPiece)(path, settings, max_length)


def checkpoint_tokeniser(folder: Path | str, max_length: int) -> Tokeniser:
    """The tokeniser of a checkpoint folder, as training or paddlenlp's `save_pretrained` wrote it.

    Raises:
        InputError: a file is absent or unreadable, or asks for what these tokenisers do not do.
    """
    folder = Path(folder)
    settings = read_settings(folder / CONFIG_FILE)
    if settings.kind != SUBWORD and (folder / ADDED_TOKENS_FILE).is_file() and read_object(folder / ADDED_TOKENS_FILE):
        raise InputError(
            f"{folder / ADDED_TOKENS_FILE} adds tokens to the vocabulary, which is not supported; "
            f"give the checkpoint a {VOCABULARY_FILE} that holds them"
        )
    return open_tokeniser(folder / tokeniser_file(settings), settings, max_length)


def write_subword(content: Mapping[str, Any], special_tokens: Mapping[str, str], folder: Path) -> None:
    """Write a tokeniser that a tokenizer.json describes to a folder, for `checkpoint_tokeniser` to read."""
    settings = json.dumps({"tokenizer_class": SUBWORD_CLASS, **special_tokens}, ensure_ascii=False, indent=1)
    (folder / CONFIG_FILE).write_text(settings + "\n", encoding="utf-8")
    described = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    (folder / TOKENISER_FILE).write_text(described, encoding="utf-8")


def read_settings(path: Path) -> TokeniserSettings:
    """What a tokenizer_config.json asks for; raises InputError where it is unreadable, or asks for something else."""
    config = read_object(path)
    name = config.get("tokenizer_class")
    known = {**_KIND_OF_CLASS, SUBWORD_CLASS: SUBWORD}
    if not isinstance(name, str) or name not in known:
        raise InputError(f"{path}: tokenizer_class is {name!r}; supported are {', '.join(known)}")
    settings: dict[str, Any] = {"kind": known[name]}
    if settings["kind"] != SUBWORD:
        for key, supported in (("do_basic_tokenize", True), ("never_split", []), ("additional_special_tokens", [])):
            value = config.get(key)
            if value is not None and value != supported:
                raise InputError(f"{path}: {key} is {value!r}; only {json.dumps(supported)} is supported")
        lower_case = config.get("do_lower_case", True)
        settings.update(lower_case=lower_case, strip_accents=lower_case)
    if settings["kind"] == "bert":  # ErnieTokenizer ignores these
        settings["split_cjk"] = config.get("tokenize_chinese_chars", True)
        if config.get("strip_accents") is not None:
            settings["strip_accents"] = config["strip_accents"]
    for key in SPECIAL_TOKENS:
        token = config.get(key)
        if token is not None:
            settings[key] = token.get("content") if isinstance(token, dict) else token
    return TokeniserSettings(**settings)
