"""Texts to token ids by WordPiece, id for id as paddlenlp 2.8.1 reads them with a checkpoint's tokeniser files.

Equal to `BertTokenizer.from_pretrained(folder)` and `ErnieTokenizer.from_pretrained(folder)`, special tokens
that a text contains literally included: they get their own ids, as they do in paddlenlp.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from itertools import chain, compress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipeline.errors import InputError
from pipeline.records import parse_json
from pipeline.text.words import TokeniserSettings, WordSplitter

__all__ = ["Encoded", "Tokeniser", "TokeniserSettings", "read_vocabulary"]

VOCABULARY_FILE = "vocab.txt"
CONFIG_FILE = "tokenizer_config.json"
ADDED_TOKENS_FILE = "added_tokens.json"

MAX_WORD_CHARACTERS = 100  # longer words are unknown, as in BERT
REMEMBERED_WORDS = 1 << 14  # bounds the memory of the words whose ids are remembered, some 3 MB

_KIND_OF_CLASS = {"BertTokenizer": "bert", "ErnieTokenizer": "ernie"}


class Encoded(NamedTuple):
    """A batch of encoded texts.

    Args:
        ids: per text int64 [length], the special tokens at both ends included.
        truncated: bool [texts], whether tokens were cut off the end of a text.
    """

    ids: list[np.ndarray]
    truncated: np.ndarray

    def part(self, chosen: Sequence[bool]) -> Encoded:
        """The chosen texts alone."""
        return Encoded(list(compress(self.ids, chosen)), self.truncated[np.array(chosen, bool)])


class Tokeniser:
    """Turns texts into token ids; may be used from several threads.

    Args:
        vocabulary: the tokens by id, or the vocabulary file that holds one per line.
        settings: how texts are read.
        max_length: tokens that a text gets at most, the two special ones included.

    Raises:
        InputError: the vocabulary is unreadable or lacks a special token, or `max_length` is below 3.
    """

    def __init__(self, vocabulary: Sequence[str] | Path | str, settings: TokeniserSettings, max_length: int) -> None:
        _check_length(max_length)
        place = "the vocabulary"
        if isinstance(vocabulary, (str, Path)):
            place, vocabulary = str(vocabulary), read_vocabulary(vocabulary)
        ids = {token: index for index, token in enumerate(vocabulary)}  # the last of equal tokens counts
        missing = [token for token in settings.special_tokens if token not in ids]
        if missing:
            raise InputError(
                f"{place} lacks the special token {', '.join(missing)}; "
                "take the vocabulary and the settings from the same checkpoint"
            )
        self.settings, self.max_length = settings, max_length
        self.vocabulary_size = len(vocabulary)
        self.pad_id = ids[settings.pad_token]
        self.mask_id = ids[settings.mask_token]
        self.unknown_id = ids[settings.unk_token]
        self.special_ids = tuple(ids[token] for token in settings.special_tokens)
        self._first, self._last = ids[settings.cls_token], ids[settings.sep_token]
        self._splitter = WordSplitter(settings)
        self._ids_of_word = _WordIds(ids, settings.unk_token)

    @classmethod
    def from_checkpoint(cls, folder: Path | str, max_length: int) -> Tokeniser:
        """The tokeniser of a checkpoint folder that paddlenlp's `save_pretrained` wrote.

        Raises:
            InputError: a file is absent or unreadable, or asks for what this tokeniser does not do.
        """
        folder = Path(folder)
        if (folder / ADDED_TOKENS_FILE).is_file() and _read_json(folder / ADDED_TOKENS_FILE):
            raise InputError(
                f"{folder / ADDED_TOKENS_FILE} adds tokens to the vocabulary, which is not supported; "
                f"give the checkpoint a {VOCABULARY_FILE} that holds them"
            )
        return cls(folder / VOCABULARY_FILE, _read_settings(folder / CONFIG_FILE), max_length)

    def with_length(self, max_length: int) -> Tokeniser:
        """The same tokeniser with another maximum length; raises InputError for one below 3."""
        _check_length(max_length)
        other = copy.copy(self)
        other.max_length = max_length
        return other

    def words(self, text: str) -> list[str]:
        """All words of `text`, which tokens are pieces of."""
        return self._splitter.split(text)

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Token ids of each text, int64 [length], [CLS] and [SEP] included, cut to `max_length`.

        The token type ids of a single text are all zero, so none are returned. Any `str` is accepted; one
        without visible characters becomes [CLS] [SEP].
        """
        return self.encode_flagged(texts).ids

    def encode_flagged(self, texts: Sequence[str]) -> Encoded:
        """As `encode`, and which texts were cut."""
        room = self.max_length - 2
        batch, truncated = [], np.zeros(len(texts), bool)
        for row, text in enumerate(texts):
            # Every word is at least one token, so a word more than there is room for tells the whole story.
            words = self._splitter.split_first(room + 1, text)
            tokens = list(chain.from_iterable(map(self._ids_of_word.__getitem__, words)))
            truncated[row] = len(tokens) > room
            batch.append(np.array([self._first, *tokens[:room], self._last], np.int64))
        return Encoded(batch, truncated)


class _WordIds(dict):
    """Ids by word. WordPiece cuts each word by itself, so a word is looked up again and not cut again."""

    def __init__(self, ids: dict[str, int], unk_token: str) -> None:
        from tokenizers.models import WordPiece

        super().__init__()
        self._unknown = (ids[unk_token],)
        self._model = WordPiece(ids, unk_token=unk_token, max_input_chars_per_word=MAX_WORD_CHARACTERS)

    def __missing__(self, word: str) -> tuple[int, ...]:
        if len(word) > MAX_WORD_CHARACTERS:
            return self._unknown  # not worth remembering: it may be as long as a text
        if len(self) >= REMEMBERED_WORDS:
            self.clear()
        self[word] = pieces = tuple(token.id for token in self._model.tokenize(word))
        return pieces


def _check_length(max_length: int) -> None:
    if max_length < 3:
        raise InputError(f"a maximum length of {max_length} leaves no room for text; it must be 3 or more")


def read_vocabulary(path: Path | str) -> list[str]:
    """The tokens of a vocabulary file by id: one per line, blank and repeated lines kept in their place.

    Raises:
        InputError: the file is absent, unreadable or not UTF-8.
    """
    # Not splitlines(): a token may hold U+2028 or another of the characters that it takes for a line's end.
    lines = _read(Path(path)).split("\n")
    return lines if lines[-1] else lines[:-1]


def _read_settings(path: Path) -> TokeniserSettings:
    config = _read_json(path)
    name = config.get("tokenizer_class")
    if not isinstance(name, str) or name not in _KIND_OF_CLASS:
        raise InputError(f"{path}: tokenizer_class is {name!r}; supported are {', '.join(_KIND_OF_CLASS)}")
    for key, supported in (("do_basic_tokenize", True), ("never_split", []), ("additional_special_tokens", [])):
        value = config.get(key)
        if value is not None and value != supported:
            raise InputError(f"{path}: {key} is {value!r}; only {json.dumps(supported)} is supported")
    lower_case = config.get("do_lower_case", True)
    settings: dict[str, Any] = {"kind": _KIND_OF_CLASS[name], "lower_case": lower_case, "strip_accents": lower_case}
    if settings["kind"] == "bert":  # ErnieTokenizer ignores these
        settings["split_cjk"] = config.get("tokenize_chinese_chars", True)
        if config.get("strip_accents") is not None:
            settings["strip_accents"] = config["strip_accents"]
    for key in ("unk_token", "pad_token", "cls_token", "sep_token", "mask_token"):
        token = config.get(key)
        if token is not None:
            settings[key] = token.get("content") if isinstance(token, dict) else token
    return TokeniserSettings(**settings)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = parse_json(_read(path))
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}); take it from the checkpoint again") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} must hold a JSON object, not {content!r:.40}")
    return content


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 at byte {error.start}; take it from the checkpoint again") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; a checkpoint's tokeniser needs it") from None
