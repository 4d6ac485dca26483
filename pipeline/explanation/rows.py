"""Between the steps of a server: behind the texts of a request that asks why stand copies of them as further rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pipeline.errors import InputError
from pipeline.explanation.neighbours import Neighbours
from pipeline.explanation.pieces import Pieces
from pipeline.explanation.reasons import explain
from pipeline.labels.decoding import Decoded, Decoder
from pipeline.labels.explanation import Explanation
from pipeline.labels.request_options import explains
from pipeline.output import counted
from pipeline.text.encoding import TextEncoder


def pieces_asked_for(parameters: Mapping[str, Any], texts: Sequence[str], encoder: TextEncoder) -> list[Pieces]:
    """What the texts of a request with these parameters are cut into; nothing where it does not ask why.

    Raises:
        InputError: it says neither yes nor no.
    """
    return [Pieces.of(text, encoder) for text in texts] if explains(parameters) else []


def with_copies(texts: Sequence[str], pieces: Sequence[Pieces], most_rows: int) -> list[str]:
    """The texts of a request, and behind them the copies of each one that lack a piece of it.

    Raises:
        InputError: they are more than a step takes.
    """
    rows = [*texts, *(copy for text, each in zip(texts, pieces) for copy in each.copies(text))]
    if pieces and len(rows) > most_rows:
        advice = "send fewer, and the rest in other requests" if len(texts) > 1 else "ask for its labels alone"
        raise InputError(
            f"to tell why {counted(len(texts), 'text')} got labels takes {len(rows) - len(texts):,} more, and "
            f"one request may hold {most_rows:,}, copies without some words included; {advice}"
        )
    return rows


class Copies(NamedTuple):
    """What a request that asks why has beside the logits of its texts.

    Args:
        pieces: of each text.
        logits: float32 [copies, labels], text by text.
    """

    pieces: list[Pieces]
    logits: np.ndarray

    def explanations(
        self, decoder: Decoder, decoded: Decoded, logits: np.ndarray, neighbours: Neighbours | None
    ) -> list[Explanation]:
        """Of each text, from what the decoder made of the texts' logits; the rest, and what is raised, as `explain`."""
        told, start = [], 0
        for row, pieces in enumerate(self.pieces):
            end = start + len(pieces.pieces)
            rows = np.concatenate([logits[row : row + 1], self.logits[start:end]])
            told.append(explain(decoder, decoded.part(slice(row, row + 1)), rows, pieces, neighbours))
            start = end
        return told


def taken_apart(logits: np.ndarray, pieces: Any) -> tuple[np.ndarray, Copies | None]:
    """The logits of a request's texts, and those of their copies where it asks why.

    Args:
        logits: float32 [rows, labels].
        pieces: the tensor PIECES, object [rows, 1] of bytes; None of a version that does not explain.

    Raises:
        InputError: it is not what the first step gives.
    """
    given = [] if pieces is None else [text for text in pieces[:, 0] if text]
    if not given:
        return logits, None
    read = [Pieces.from_json(text) for text in given]
    texts = len(read)
    if any(pieces[texts:, 0]) or len(logits) != texts + sum(len(each.pieces) for each in read):
        raise InputError("the pieces of the texts do not fit the rows; ask the ensemble")
    return logits[:texts], Copies(read, logits[texts:])
