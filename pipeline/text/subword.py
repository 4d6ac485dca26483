"""Texts to token ids as a tokenizer.json describes it: Unigram (SentencePiece) or BPE, run by the library tokenizers.

Special tokens that a text contains literally are text.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.records import read_json
from pipeline.text.segments import segmenter
from pipeline.text.tokenisation import Tokeniser
from pipeline.text.words import TokeniserSettings

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # of the library: a server has a process for each core
TOKENISER_FILE = "tokenizer.json"
MODELS = ("Unigram", "BPE")
TRIAL = "a\u0301 B, 1\u3000\u7f62\u5de5\u4e86 \u0928\u092e\u0938\u094d\u0924\u0947 " + "a" * 64 + "!"
"""A text of several scripts, with a run that regular expressions may stumble over."""
HIDDEN = "\U0010ffff"
"""Stands before special tokens; no text has it."""
CHARACTERS_PER_TOKEN = 4
"""A first guess: how much of a long text is read for its first tokens."""
UNSETTLED_TOKENS = 16
"""At the end of a text that is cut short, or at its beginning: these might be others, had it not been cut."""


class Subword(Tokeniser):
    """A tokeniser of pieces, with or without words.

    Args:
        path: of its tokenizer.json.
        settings: of which the special tokens are used; the file says all else.
        max_length: tokens that a text gets at most, the two special ones included.

    Raises:
        InputError: the file cannot be read, is of another kind than MODELS, or has a component that the library does
            not know; it lacks a special token; or `max_length` is below 3.
    """

    def __init__(self, path: Path, settings: TokeniserSettings, max_length: int) -> None:
        self._tokenizer, description = _load(path, settings)
        trial = _try(self._tokenizer, path)
        self._segmenter = segmenter(description, self._tokenizer)
        if self._segmenter and self._segmenter(TRIAL) != trial:
            self._segmenter = None  # it reads otherwise than its description tells
        ids = {token.removeprefix(HIDDEN): number for token, number in self._tokenizer.get_vocab().items()}
        if sorted(ids.values()) != list(range(len(ids))):
            raise InputError(f"{path}: the ids of its {len(ids):,} tokens are not 0 to {len(ids) - 1:,}")
        super().__init__(ids, str(path), settings, max_length)
        self.vocabulary_size = len(ids)

    def words(self, text: str) -> list[str]:
        return self._tokenizer.encode(text, add_special_tokens=False).tokens

    def first_tokens(self, texts: Sequence[str], count: int) -> Iterator[list[int]]:
        size = CHARACTERS_PER_TOKEN * (count + UNSETTLED_TOKENS)
        for text, first in zip(texts, self._all_ids([text[:size] for text in texts])):
            ids, read = first, size
            while read < len(text) and len(ids) < count + UNSETTLED_TOKENS:
                read *= 4
                (ids,) = self._all_ids([text[:read]])
            yield ids

    def last_tokens(self, text: str, count: int) -> list[int]:
        size = CHARACTERS_PER_TOKEN * (count + UNSETTLED_TOKENS)
        while True:
            (ids,) = self._all_ids([text[-size:]])
            if size >= len(text) or len(ids) >= count + UNSETTLED_TOKENS:
                return ids
            size *= 4

    def _all_ids(self, texts: list[str]) -> Iterable[list[int]]:
        if self._segmenter:
            return map(self._segmenter, texts)
        return (each.ids for each in self._tokenizer.encode_batch_fast(texts, add_special_tokens=False))


def _try(tokenizer: Any, path: Path) -> list[int]:
    """The ids of TRIAL; raises InputError where texts end the tokeniser: the library's panics are no Exception."""
    try:
        return tokenizer.encode(TRIAL, add_special_tokens=False).ids
    except BaseException as error:
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        raise InputError(f"{path} is no tokeniser that works: {error}") from None


def _load(path: Path, settings: TokeniserSettings) -> tuple[Any, dict[str, Any]]:
    """The library's tokeniser, and the content of the file that it was made from."""
    from tokenizers import Tokenizer

    try:
        description = read_json(path)
        model: Any = description.get("model") if isinstance(description, dict) else None
        kind = model.get("type") if isinstance(model, dict) else None
        if kind not in MODELS:
            raise InputError(f"{path}: its model is {kind!r:.40}; supported are {', '.join(MODELS)}")
        if model.get("dropout"):
            raise InputError(f"{path}: dropout is {model['dropout']!r:.40}: a text would get other tokens each time")
        if kind == "Unigram":
            _hide(description, settings.special_tokens)
        tokenizer = Tokenizer.from_str(json.dumps(description, ensure_ascii=False))
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except BaseException as error:  # the library raises Exception, and what its own panics are
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        raise InputError(f"{path} is no tokeniser that loads: {error}") from None
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True
    return tokenizer, description


def _hide(description: dict[str, Any], special_tokens: Sequence[str]) -> None:
    """Let no text be cut into special tokens, which stand in a Unigram vocabulary as other pieces do."""
    pieces = description["model"]["vocab"]
    hidden = {piece for piece, _ in pieces} & set(special_tokens)
    description["model"]["vocab"] = [[HIDDEN + piece if piece in hidden else piece, score] for piece, score in pieces]
    added = description.get("added_tokens") or ()
    description["added_tokens"] = [token for token in added if token["content"] not in hidden]
