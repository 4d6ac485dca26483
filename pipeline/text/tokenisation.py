"""Texts to token ids: what every tokeniser does, and which one a model has."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from itertools import compress
from typing import NamedTuple

import numpy as np

from pipeline.errors import InputError
from pipeline.text.words import TokeniserSettings


class Encoded(NamedTuple):
    """A batch of encoded texts.

    Args:
        ids: per text int64 [length], the special tokens at both ends included.
        truncated: bool [texts], whether a text has tokens that are not among its ids.
        linear: float32 [texts, labels], the logits of the model's linear part; None where it has none.
    """

    ids: list[np.ndarray]
    truncated: np.ndarray
    linear: np.ndarray | None = None

    def part(self, chosen: Sequence[bool]) -> Encoded:
        """The chosen texts alone."""
        rows = np.array(chosen, bool)
        linear = None if self.linear is None else self.linear[rows]
        return Encoded(list(compress(self.ids, chosen)), self.truncated[rows], linear)


class Tokeniser(ABC):
    """Turns texts into token ids; may be used from several threads.

    Args:
        ids: of every token.
        place: what a message calls the vocabulary.
        settings: how texts are read.
        max_length: tokens that a text gets at most, the two special ones included.

    Raises:
        InputError: the vocabulary lacks a special token, or `max_length` is below 3.
    """

    def __init__(self, ids: Mapping[str, int], place: str, settings: TokeniserSettings, max_length: int) -> None:
        _check_length(max_length)
        missing = [token for token in settings.special_tokens if token not in ids]
        if missing:
            raise InputError(
                f"{place} lacks the special token {', '.join(missing)}; "
                "take the vocabulary and the settings from the same checkpoint"
            )
        self.settings, self.max_length, self.last = settings, max_length, 0
        self.pad_id = ids[settings.pad_token]
        self.mask_id = ids[settings.mask_token]
        self.unknown_id = ids[settings.unk_token]
        self.special_ids = tuple(ids[token] for token in settings.special_tokens)
        self._first, self._last = ids[settings.cls_token], ids[settings.sep_token]

    vocabulary_size: int
    """Token ids lie below it."""

    def with_length(self, max_length: int, last: int = 0) -> Tokeniser:
        """The same tokeniser with another maximum length; raises InputError for one below 3.

        Args:
            last: how many of these tokens are the last ones of a text that has more; the others are its first.
        """
        _check_length(max_length)
        other = copy.copy(self)
        other.max_length, other.last = max_length, last
        return other

    @abstractmethod
    def words(self, text: str) -> list[str]:
        """All of `text`, in words or pieces: texts that share them have the same token ids."""

    @abstractmethod
    def first_tokens(self, texts: Sequence[str], count: int) -> Iterator[list[int]]:
        """At least the first `count` token ids of each text, or all that it has, without special ones at its ends."""

    @abstractmethod
    def last_tokens(self, text: str, count: int) -> list[int]:
        """At least the last `count` token ids of a text, or all that it has; `count` is above 0."""

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
        for row, (text, tokens) in enumerate(zip(texts, self.first_tokens(texts, room + 1))):
            truncated[row] = len(tokens) > room
            last = self.last_tokens(text, self.last)[-self.last :] if truncated[row] and self.last else []
            batch.append(np.array([self._first, *tokens[: room - len(last)], *last, self._last], np.int64))
        return Encoded(batch, truncated)


def _check_length(max_length: int) -> None:
    if max_length < 3:
        raise InputError(f"a maximum length of {max_length} leaves no room for text; it must be 3 or more")
