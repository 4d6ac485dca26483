"""Joining the linear part and the encoder: the weight of each, learnt on dev, and whether both earn their place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Callable

import numpy as np
from sklearn.linear_model import LogisticRegression

from pipeline.labels.decoding import Decoder
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.metrics.sets import Metrics
from pipeline.text.linear import combined

MOST_PAIRS = 1 << 21
"""Of texts and labels that the weights are learnt on: more would not change them."""
ENCODER, LINEAR, BOTH = "encoder", "linear", "both"


@dataclass(frozen=True)
class Weights:
    """What logits are made of.

    Attributes:
        encoder: what the encoder's logits are multiplied by.
        factor, offset: what the linear part's margins are multiplied by, and what is added then.
    """

    encoder: float
    factor: float
    offset: float

    def logits(self, encoder: np.ndarray | None, margins: np.ndarray) -> np.ndarray:
        """float32 [texts, labels] of the encoder's logits, where there is one, and the linear part's margins."""
        linear = (np.float32(self.factor) * margins + np.float32(self.offset)).astype(np.float32)
        return linear if encoder is None else combined(encoder, linear, self.encoder)


def learn_weights(
    encoder: np.ndarray | None, margins: np.ndarray, labels: np.ndarray, separable: np.ndarray | None = None
) -> Weights:
    """The weights that make scores of what both say, by one logistic curve for all labels (Platt 1999).

    Neither counts against itself. Where every text has all labels, or none, there is nothing to learn.

    Args:
        encoder: float32 [texts, labels], or None where the linear part answers alone.
        margins: float32 [texts, labels].
        labels: bool [texts, labels].
        separable: bool [labels], whose margins mean something, see `training.linear.fitting.Fitted`; all if not given.
    """
    if separable is not None:
        encoder = None if encoder is None else encoder[:, separable]
        margins, labels = margins[:, separable], labels[:, separable]
    if labels.all() or not labels.any():
        return Weights(0.0 if encoder is None else 0.5, 1.0 if encoder is None else 0.5, 0.0)
    rows = slice(None, None, -(-labels.size // MOST_PAIRS))
    voices = [margins[rows].ravel()] + ([] if encoder is None else [encoder[rows].ravel()])
    actual = labels[rows].ravel()
    while True:
        curve = logistic_curve(np.stack(voices, axis=1), actual)
        factor, *others = curve.coef_[0].tolist()
        weights = Weights(others[0] if others else 0.0, factor, float(curve.intercept_[0]))
        if not others:
            return weights if factor > 0 else Weights(0.0, 1.0, 0.0)
        if min(factor, others[0]) >= 0:
            return weights
        if factor < 0:
            return Weights(1.0, 0.0, 0.0)
        voices.pop()


def logistic_curve(voices: np.ndarray, actual: np.ndarray) -> LogisticRegression:
    """A curve from margins, float [points, voices], to whether a label is right, bool [points], neither all nor none.

    Of n points that are right, n + 1 of n + 2 shares count as right, and of the wrong ones likewise as wrong (Platt
    1999): where margins set all apart, the curve would be as steep as can be otherwise, and sure of what it never saw.
    """
    right = int(actual.sum())
    share = np.where(actual, (right + 1) / (right + 2), 1 / (len(actual) - right + 2))
    points, targets = np.concatenate([voices, voices]), np.repeat([True, False], len(voices))
    return LogisticRegression(C=1e6).fit(points, targets, sample_weight=np.concatenate([share, 1 - share]))


def cross_fitted_scores(
    encoder: np.ndarray,
    margins: np.ndarray,
    labels: np.ndarray,
    hierarchy: LabelHierarchy,
    tuned: Callable[[np.ndarray, np.ndarray], Decoder],
    separable: np.ndarray | None = None,
) -> dict[str, dict[str, Any]]:
    """What each part, and both, reach on texts that neither weights nor thresholds were chosen on.

    One half of the texts is answered by what was chosen on the other, both ways.

    Args:
        encoder, margins: float32 [texts, labels], the encoder's logits and the linear part's margins.
        labels: bool [texts, labels].
        tuned: chooses a decoder by logits and labels.
        separable: as `learn_weights` takes it.

    Returns:
        Scores as in `pipeline.metrics.sets.Metrics.result`, by ENCODER, LINEAR and BOTH.
    """
    metrics = {name: Metrics(hierarchy) for name in (ENCODER, LINEAR, BOTH)}
    halves = np.arange(len(labels)) % 2
    for half in (0, 1) if len(labels) > 1 else ():
        own, other = halves == half, halves != half
        alone = learn_weights(None, margins[own], labels[own], separable)
        joint = learn_weights(encoder[own], margins[own], labels[own], separable)
        voices = {
            ENCODER: (encoder[own], encoder[other]),
            LINEAR: (alone.logits(None, margins[own]), alone.logits(None, margins[other])),
            BOTH: (joint.logits(encoder[own], margins[own]), joint.logits(encoder[other], margins[other])),
        }
        for name, (known, asked) in voices.items():
            metrics[name].update(labels[other], tuned(known, labels[own]).decode(asked).selected)
    return {name: each.result() for name, each in metrics.items()}


def in_words(scores: dict[str, dict[str, Any]], names: Sequence[str] = (ENCODER, LINEAR, BOTH)) -> str:
    """The scores, in a phrase."""
    return ", ".join(f"{name} {scores[name]['micro_f1']:.4f}/{scores[name]['macro_f1']:.4f}" for name in names)
