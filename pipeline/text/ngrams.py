"""Which n-grams stand in texts: of characters or of words, found in numpy, many texts at once.

A table is a trie, kept by length: an n-gram is known by the number of its first n - 1 symbols, which is an n-gram of
the table too, and by its last symbol. So a lookup of any length takes one search in a sorted array for each length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pipeline.errors import InputError

CHARACTERS, IN_WORDS, WORDS = "characters", "characters in words", "words"
KINDS = (CHARACTERS, IN_WORDS, WORDS)
"""n-grams of all characters; of those of one word, a space before and after it included; of words."""
MOST_LENGTH = 8
_ASIDE = r"!-/:-@\[-`{-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf\u2000-\u206f\u3000-\u303f\uff00-\uff0f"
_WORD = re.compile(rf"[^\s{_ASIDE}]+")
"""What stands between white space and punctuation: marks and vowel signs belong to it in every script."""
_NONE = -1


class Found(NamedTuple):
    """Occurrences of n-grams.

    Attributes:
        texts: int64 [n], the number of the text.
        features: int64 [n], the number of the n-gram in its table.
    """

    texts: np.ndarray
    features: np.ndarray


class NgramTable:
    """The n-grams of one kind that a model knows.

    Args:
        kind: one of KINDS.
        symbols: the single characters or words, in rising order.
        levels: for each length from 2 on the n-grams, int64, rising: the first symbols' number among those one shorter,
            times the number of symbols, and the last symbol's number.

    Attributes:
        size: number of n-grams.

    Raises:
        InputError: symbols or n-grams are not in order, or the kind is unknown.
    """

    def __init__(self, kind: str, symbols: Sequence[str], levels: Sequence[np.ndarray] = ()) -> None:
        if kind not in KINDS:
            raise InputError(f"unknown n-grams {kind!r:.40}; this version knows {', '.join(KINDS)}")
        if len(levels) >= MOST_LENGTH:
            raise InputError(f"n-grams of {len(levels) + 1} symbols are longer than {MOST_LENGTH}")
        self.kind, self.symbols = kind, list(symbols)
        self.levels = [np.asarray(level, np.int64) for level in levels]
        if any(first >= second for first, second in zip(self.symbols, self.symbols[1:])):
            raise InputError("the symbols of the n-grams are not in order")
        if any((np.diff(level) <= 0).any() for level in self.levels):
            raise InputError("the n-grams are not in order")
        self._sizes = [len(self.symbols), *map(len, self.levels)]
        self._space = self.symbols.index(" ") if " " in self.symbols else _NONE
        self.size = sum(self._sizes)
        if kind == WORDS:
            self._numbers = {word: number for number, word in enumerate(self.symbols)}
        else:
            points = [ord(symbol) for symbol in self.symbols]
            # By code point; the last place is of all beyond.
            self._by_point = np.full(max(points, default=0) + 2, _NONE, np.int64)
            self._by_point[points] = range(len(points))
            self._by_point[0] = _NONE  # stands behind each text

    @property
    def length(self) -> int:
        """Symbols of the longest n-grams."""
        return 1 + len(self.levels)

    def find(self, texts: Sequence[str]) -> Found:
        """All n-grams of the table in each of the texts, which are in lower case, as often as they stand there."""
        owners, symbols = self.read(texts)
        found, start = [], 0
        for nodes, size in zip(self._nodes(symbols), self._sizes):
            known = np.flatnonzero(nodes != _NONE)
            found.append(Found(owners[known], nodes[known] + start))
            start += size
        return Found(*(np.concatenate(parts) for parts in zip(*found)))

    def longest(self, symbols: np.ndarray) -> np.ndarray:
        """Per place, of symbols as `read` gives them, the number of the longest n-gram that begins there, or -1."""
        *_, last = self._nodes(symbols)
        return last

    def _nodes(self, symbols: np.ndarray) -> Iterator[np.ndarray]:
        """Per length, and per place, the number of the n-gram of that length that begins there, or -1."""
        nodes = symbols
        yield nodes
        for level in self.levels:
            nodes = self._number(level, self.keys(nodes, symbols))
            yield nodes

    def keys(self, nodes: np.ndarray, symbols: np.ndarray) -> np.ndarray:
        """For n-grams that begin at each place, by their numbers, those that are a symbol longer, in a level's form.

        Args:
            nodes: int64 [n], of one length, -1 where there is none.
            symbols: int64 [m], -1 between texts and for what the table lacks.
        """
        reach = len(symbols) - len(nodes) + 1
        ahead = symbols[reach:]
        here = nodes[: len(ahead)]
        known = (here != _NONE) & (ahead != _NONE)
        if self.kind == IN_WORDS and reach > 1:
            known &= symbols[reach - 1 : reach - 1 + len(ahead)] != self._space  # the word has ended
        return np.where(known, here * len(self.symbols) + ahead, _NONE)

    def read(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Per place the number of its text, and of its symbol, -1 behind each text and for unknown ones; int64 [n]."""
        if self.kind == WORDS:
            parts = [[*(self._numbers.get(word, _NONE) for word in _WORD.findall(text)), _NONE] for text in texts]
            symbols = np.array([number for part in parts for number in part], np.int64)
            lengths = [len(part) for part in parts]
        else:
            spread = [f"{as_read(text, self.kind)}\0" for text in texts]
            points = np.frombuffer("".join(spread).encode("utf-32-le", "surrogatepass"), np.uint32)
            symbols = self._by_point[np.minimum(points, len(self._by_point) - 1)]
            lengths = [len(text) for text in spread]
        return np.repeat(np.arange(len(texts)), lengths), symbols

    @staticmethod
    def _number(rising: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Where each wanted value stands in `rising`; -1 for what is not there."""
        if not len(rising):
            return np.full(len(wanted), _NONE, np.int64)
        places = np.minimum(np.searchsorted(rising, wanted), len(rising) - 1)
        return np.where(rising[places] == wanted, places, _NONE)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """What numpy can write: no Python objects."""
        separator = "\n" if self.kind == WORDS else ""
        arrays = {"kind": np.array(KINDS.index(self.kind)), "symbols": _bytes(separator.join(self.symbols))}
        return {**arrays, **{f"level{number}": level for number, level in enumerate(self.levels)}}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> NgramTable:
        """What `to_arrays` gave.

        Raises:
            InputError: it is something else.
        """
        kind = int(arrays["kind"]) if arrays["kind"].size == 1 else _NONE
        if not 0 <= kind < len(KINDS):
            raise InputError(f"n-grams of kind {kind} are unknown to this version")
        try:
            text = arrays["symbols"].tobytes().decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise InputError(f"the symbols of the n-grams are no UTF-8 ({error})") from None
        symbols = list(text) if KINDS[kind] != WORDS else text.split("\n") if text else []
        levels = [arrays[f"level{number}"] for number in range(MOST_LENGTH) if f"level{number}" in arrays]
        return cls(KINDS[kind], symbols, levels)


def words_of(text: str) -> list[str]:
    """The words of `text`, as tables of WORDS cut them."""
    return _WORD.findall(text)


def as_read(text: str, kind: str) -> str:
    """`text` as a table of characters reads it."""
    text = text.replace("\0", " ")
    return f" {text} " if kind == IN_WORDS else text


def _bytes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
