"""What is answered: label paths with confidences, and what else is told of a text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from pipeline.labels.explanation import Explanation


class Prediction(NamedTuple):
    """One predicted label path and its confidence in [0, 1]."""

    label: str
    confidence: float


class Answer(list[Prediction]):
    """What one text is answered: its label paths, most confident first.

    Attributes:
        truncated: whether the text is longer than the model reads, so that only its beginning was classified; None
            where the server is of an earlier release, which does not tell.
        why: which words carry the labels; None where nobody asked.
        promised: for each label the highest precision that is promised for it, 0 where none is; None where the model
            promises nothing, a server told nothing of all texts of the request, or is of an earlier release.
    """

    def __init__(
        self,
        predictions: Iterable[Prediction] = (),
        truncated: bool | None = None,
        why: Explanation | None = None,
        promised: Iterable[float] | None = None,
    ) -> None:
        super().__init__(predictions)
        self.truncated, self.why = truncated, why
        if promised is not None:  # rows of a batch are padded
            promised = [round(float(precision), 6) for precision, _ in zip(promised, self)]
        self.promised = promised
