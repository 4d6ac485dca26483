"""Golden texts: what a server that answers correctly says to them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from pipeline.errors import BundleError, ServerError
from pipeline.labels.decoding import Decoded, Decoder, DecodingPolicy
from pipeline.predictor import Predictor

MARGIN = 0.05
"""Scores at least so far from their thresholds give the same labels in every precision and batch."""
GOLDEN_SECONDS = 10.0
"""That a server may take to answer them when a command asks."""
_TINY = 1e-6


class Refused(ServerError):
    """The server is alive and has too much to do."""


class WrongAnswer(ServerError):
    """The server answers, but not what it should."""


class OtherFolder(ServerError):
    """The server answers by a version of another folder than the command speaks of."""


@dataclass(frozen=True)
class Expected:
    """A text and the labels that it must get, in any order; None where any answer will do."""

    text: str
    labels: tuple[str, ...] | None

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
        BundleError: the predictor gives a text other labels than the bundle states, and by more than rounding; or the
            bundle states none for any.
    """
    bundle, goldens = predictor.bundle, predictor.bundle.manifest.goldens
    if not goldens:
        return (Expected(bundle.manifest.labels[0], None),)
    if not any(golden.labels for golden in goldens):
        raise BundleError(
            f"{bundle.path} gives none of its {len(goldens)} golden texts a label, so that nobody could tell whether a "
            "server works: train longer, or lower the thresholds, and export again"
        )
    decoder, decoded = bundle.decoder(), predictor.decode([golden.text for golden in goldens])
    stated = [{bundle.hierarchy.index[label] for label in golden.labels} for golden in goldens]
    answered = label_sets(decoded)
    for row in unexplained(decoder, decoded.scores, stated):
        got, wanted = (
            ", ".join(bundle.hierarchy.labels[position] for position in sorted(side)) or "none"
            for side in (answered[row], stated[row])
        )
        raise BundleError(
            f"{bundle.path} gives golden text {row} the labels {got} in {predictor.runtime} {predictor.precision}, and "
            f"states {wanted}: export it again, or choose another runtime or precision"
        )
    reached = decoded.scores >= decoder.thresholds
    reliable = reached.any(axis=1) & (np.abs(decoded.scores - decoder.thresholds).min(axis=1) >= MARGIN)
    rows = [row for row in np.flatnonzero(reliable) if answered[row] == stated[row]]
    return tuple(Expected(goldens[row].text, goldens[row].labels) for row in rows) or (Expected(goldens[0].text, None),)


def unexplained(decoder: Decoder, scores: np.ndarray, stated: Sequence[set[int]]) -> list[int]:
    """Rows whose stated labels the scores do not give, even if each of them differed by up to MARGIN.

    Args:
        scores: float32 [rows, labels].
        stated: per row the positions of the labels that it should get.
    """
    hierarchy, most = decoder.hierarchy, decoder.policy.top_k
    single, least = decoder.policy.policy == "single_path", decoder.policy.at_least_one
    # Which of two paths is the better one is not asked here, but whether the stated one is found at all. The scores are
    # calibrated already.
    policy = DecodingPolicy("ancestors", least) if single else replace(decoder.policy, top_k=None)
    decoder = Decoder(hierarchy, decoder.thresholds, policy)
    cut = [len(labels) == most for labels in stated]

    def family(labels: set[int]) -> list[int]:
        """The labels and all below them."""
        return np.flatnonzero(hierarchy.with_descendants(hierarchy.matrix([labels]))[0]).tolist()

    wrong = list(range(len(stated)))
    # Where nothing reaches its threshold, a parent must not outdo its child; and top_k may have cut the child off.
    for reading in (set, hierarchy.deepest, family):
        towards = np.full((len(wrong), len(hierarchy)), -MARGIN, np.float32)
        for place, row in enumerate(wrong):
            towards[place, list(reading(stated[row]))] = MARGIN
        given = label_sets(_decoded(decoder, scores[wrong] + towards))
        wrong = [
            row
            for row, labels in zip(wrong, given)
            if not (stated[row] <= labels if cut[row] or (single and stated[row]) else stated[row] == labels)
        ]
    if not single:
        outdone = _outdone(decoder, scores, stated)
        wrong += [row for row in range(len(stated)) if cut[row] and outdone[row]]
    return sorted(set(wrong))


def _decoded(decoder: Decoder, scores: np.ndarray) -> Decoded:
    scores = np.clip(scores, _TINY, 1 - _TINY)
    return decoder.decode(np.log(scores / (1 - scores)))


def _outdone(decoder: Decoder, scores: np.ndarray, stated: Sequence[set[int]]) -> np.ndarray:
    """bool [rows]: whether another label is surely given, and surely with more confidence than one of the stated."""
    hierarchy = decoder.hierarchy
    own = hierarchy.matrix(stated)
    sure = Decoder(hierarchy, decoder.thresholds, replace(decoder.policy, at_least_one=False))
    others = np.where(own, 0, _decoded(sure, scores - MARGIN).confidences).max(axis=1)
    highest = hierarchy.raise_ancestors(scores + np.float32(MARGIN))
    return others > np.where(own, highest, np.inf).min(axis=1)


def label_sets(decoded: Decoded) -> list[set[int]]:
    """Per text the positions of its labels."""
    return [set(np.flatnonzero(row).tolist()) for row in decoded.selected]
