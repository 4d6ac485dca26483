"""Golden texts: what a server that answers correctly says to them."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipeline.errors import BundleError, ServerError
from pipeline.predictor import Predictor

MARGIN = 0.05
"""Scores at least so far from their thresholds give the same labels in every precision and batch."""
TIMED_TEXTS = 64


class Refused(ServerError):
    """The server is alive and has too much to do."""


class WrongAnswer(ServerError):
    """The server answers, but not what it should."""


@dataclass(frozen=True)
class Expected:
    """A text and the labels that it must get, in any order; None where any answer will do."""

    text: str
    labels: tuple[str, ...] | None

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Expected:
        labels = fields["labels"]
        return cls(fields["text"], None if labels is None else tuple(labels))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def require(self, labels: Collection[str], address: str) -> None:
        """Raise WrongAnswer unless these labels, from the server at an address, are the expected ones."""
        if self.labels is not None and set(self.labels) != set(labels):
            got, wanted = (", ".join(sorted(side)) or "none" for side in (labels, self.labels))
            raise WrongAnswer(f"the server at {address} gives a golden text the labels {got}, not {wanted}")


def expected_answers(predictor: Predictor) -> tuple[Expected, ...]:
    """The bundle's golden texts whose answers depend on no rounding, at least one text.

    Raises:
        BundleError: the predictor does not give such a text the labels that the bundle states.
    """
    manifest = predictor.bundle.manifest
    texts = [golden.text for golden in manifest.goldens]
    if not texts:
        return (Expected(manifest.labels[0], None),)
    decoded = predictor.decode(texts)
    thresholds = np.asarray(manifest.thresholds, np.float32)
    distances = np.abs(decoded.scores - thresholds).min(axis=1)
    reliable = (distances >= MARGIN) & (decoded.scores >= thresholds).any(axis=1)
    expected = []
    for row in np.flatnonzero(reliable).tolist():
        golden, answer = manifest.goldens[row], [prediction.label for prediction in decoded.predictions()[row]]
        if set(answer) != set(golden.labels):
            raise BundleError(
                f"{predictor.bundle.path} gives golden text {row} the labels {', '.join(answer) or 'none'} in "
                f"{predictor.runtime} {predictor.precision}, and states {', '.join(golden.labels) or 'none'}: "
                "export it again, or choose another runtime or precision"
            )
        expected.append(Expected(golden.text, golden.labels))
    return tuple(expected) or (Expected(texts[0], None),)


def texts_per_second(predictor: Predictor, expected: Sequence[Expected]) -> float:
    """Roughly how many texts like these are classified in a second here."""
    texts = [answer.text for answer in expected]
    texts = (texts * (TIMED_TEXTS // len(texts) + 1))[:TIMED_TEXTS]
    predictor.decode(texts)
    started = time.perf_counter()
    predictor.decode(texts)
    return len(texts) / (time.perf_counter() - started)
