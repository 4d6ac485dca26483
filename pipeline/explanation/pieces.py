"""Which words of a text are left out, and the copies that lack them: they are answered as any texts are.

A copy costs what the text costs. So that an explanation never costs more than MOST_COPIES further answers, the words
of a longer text are left out several at a time, those that stand side by side.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.errors import InputError
from pipeline.explanation.words import without, word_spans
from pipeline.output import shortened
from pipeline.records import parse_json
from pipeline.text.encoding import TextEncoder
from pipeline.text.linear import MOST_CHARACTERS
from pipeline.text.long_texts import HEAD_TAIL

MOST_COPIES = 24
"""Of a text."""
COPIED_CHARACTERS = MOST_COPIES * MOST_CHARACTERS
"""Of all copies of a text: a longer one has fewer, or one caller would hold up the others while they are read."""

BEGINNING_CHARACTERS = 200
"""Of a text, by which rows are found that are like it; of a row as many are kept."""


class Piece(NamedTuple):
    """A word of a text, or several in a row: from which character to which, and how many words."""

    text: str
    start: int
    end: int
    words: int


@dataclass(frozen=True)
class Pieces:
    """What the words of a text were cut into.

    Attributes:
        pieces: in order, at most MOST_COPIES.
        until: the characters that were looked at for words: all, or as many as the model reads.
        beginning: of the text, by which training rows are found that are like it.
    """

    pieces: tuple[Piece, ...]
    until: int
    beginning: str = ""

    @classmethod
    def of(cls, text: str, encoder: TextEncoder) -> Pieces:
        """Those of a text that `encoder` has checked."""
        until = min(len(text), MOST_CHARACTERS)
        spans = word_spans(text, until)
        if encoder.linear is None and encoder.long_texts.way != HEAD_TAIL and _is_cut(text, encoder):
            spans = spans[: _read(text, spans, encoder)]
            until = spans[-1][1] if spans else 0
        groups = _grouped(spans, min(MOST_COPIES, COPIED_CHARACTERS // max(1, len(text))))
        pieces = tuple(Piece(text[start:end], start, end, words) for start, end, words in groups)
        return cls(pieces, until, shortened(text, BEGINNING_CHARACTERS))

    def copies(self, text: str) -> list[str]:
        """The text without each of the pieces."""
        return [without(text, [(piece.start, piece.end)]) for piece in self.pieces]

    def to_json(self) -> str:
        return json.dumps([self.until, self.pieces, self.beginning], ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Pieces:
        """What `to_json` gave; raises InputError for anything else."""
        try:
            until, pieces, beginning = parse_json(text)
            return cls(
                tuple(Piece(str(piece), int(start), int(end), int(words)) for piece, start, end, words in pieces),
                int(until),
                shortened(str(beginning), BEGINNING_CHARACTERS),
            )
        except (TypeError, ValueError):
            raise InputError(f"{text!r:.60} are no pieces of a text") from None


def _grouped(spans: Sequence[tuple[int, int]], most: int) -> list[tuple[int, int, int]]:
    """Words side by side together, as equally many as can be, so that there are at most `most` groups."""
    count = min(len(spans), most)
    bounds = [number * len(spans) // count for number in range(count + 1)] if count else []
    return [(spans[first][0], spans[last - 1][1], last - first) for first, last in zip(bounds, bounds[1:])]


def _is_cut(text: str, encoder: TextEncoder) -> bool:
    return bool(encoder.encode_checked([text]).truncated[0])


def _read(text: str, spans: Sequence[tuple[int, int]], encoder: TextEncoder) -> int:
    """How many of the words, from the first on, the encoder reads as a whole."""
    least, most = 0, len(spans)
    while least < most:
        middle = (least + most + 1) // 2
        if _is_cut(text[: spans[middle - 1][1]], encoder):
            most = middle - 1
        else:
            least = middle
    return least
