"""What carries a label: the pieces of a text without which its score falls most (occlusion, Zeiler and Fergus 2014)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Callable

import numpy as np

from pipeline.errors import ClassifierError
from pipeline.explanation.neighbours import Neighbours
from pipeline.explanation.pieces import Pieces
from pipeline.labels.decoding import Answer, Decoded, Decoder, sigmoid
from pipeline.labels.explanation import Explanation, Reason
from pipeline.text.encoding import TextEncoder

NAMED_WORDS = 5
"""Of a label, at most, unless a single piece has more."""
MOST_LABELS = 50
"""Of a text, the most confident ones: a caller's threshold may let through all that there are."""
LEAST_FALL, LEAST_SHARE = 0.01, 0.1
"""Of a logit: less is what a number format or another batch may make; and of the first piece's fall: what counts for
less beside it is no reason."""


def explain(
    decoder: Decoder, decoded: Decoded, logits: np.ndarray, pieces: Pieces, neighbours: Neighbours | None = None
) -> Explanation:
    """Why a text got its labels, the first MOST_LABELS of them.

    A label is judged by its own score, before its ancestors' or descendants' change its confidence.

    Args:
        decoder: of the model.
        decoded: what it made of the text alone.
        logits: float32 [1 + pieces, labels], of the text and of its copies without each of the pieces.
        pieces: those of the text.
        neighbours: of the model, where it holds training rows.

    Raises:
        ClassifierError: logits of a copy are not finite, or not those of so many copies.
    """
    if len(logits) != 1 + len(pieces.pieces):
        raise ClassifierError(f"there are {len(logits) - 1} copies of a text with {len(pieces.pieces)} pieces")
    if not np.isfinite(logits).all():
        raise ClassifierError("the model's logits of a copy without some words are not finite; the model is broken")
    scores, falls = sigmoid(decoder.calibrated(logits)), logits[0] - logits[1:]
    labels = {}
    for label, _ in decoded.predictions()[0][:MOST_LABELS]:
        column = decoded.hierarchy.index[label]
        least = max(LEAST_FALL, LEAST_SHARE * falls[:, column].max(initial=0))
        named: list[Reason] = []
        words = 0
        for number in np.argsort(-falls[:, column], kind="stable").tolist():
            piece = pieces.pieces[number]
            words += piece.words
            if falls[number, column] < least or (named and words > NAMED_WORDS):
                break
            drop = float(scores[0, column] - scores[1 + number, column])
            named.append(Reason(piece.text, piece.start, piece.end, drop))
        labels[label] = tuple(named)
    near = neighbours.nearest(pieces.beginning, decoded.scores[0], labels) if neighbours else None
    return Explanation(labels, max((piece.words for piece in pieces.pieces), default=1), pieces.until, near)


def explained(
    texts: Sequence[str],
    encoder: TextEncoder,
    decoder: Decoder,
    read: Callable[[Sequence[str]], tuple[np.ndarray, Sequence[bool | None]]],
    neighbours: Neighbours | None = None,
) -> Iterator[Answer]:
    """The answer to each text, with its explanation.

    Args:
        texts: which the encoder has checked.
        encoder: of the model.
        decoder: makes label sets.
        read: the model: float32 [texts, labels], its logits, and of each text whether it was truncated.
        neighbours: of the model, where it holds training rows.

    Raises:
        ClassifierError: as `explain` does.
    """
    for text in texts:
        pieces = Pieces.of(text, encoder)
        logits, truncated = read([text, *pieces.copies(text)])
        decoded = decoder.decode(logits[:1])
        yield from decoder.told(decoded, truncated[:1], [explain(decoder, decoded, logits, pieces, neighbours)])
