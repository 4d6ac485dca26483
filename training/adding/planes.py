"""The columns of labels that are added: each a plane between its examples and all other rows, without training.

On the encoder's features it is that of linear discriminant analysis (Fisher 1936): w = S^-1 (m - r), m and r the means
of the examples and of the rest, S the covariance of all, shrunk. On the n-grams it is the support vector machine that
any label of a linear part has. What each plane says of a row that it has not seen tells, by a logistic curve (Platt
1999), what the score of a text has to be, and from which score on it counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from training.linear.fitting import TOLERANCE

REGULARISATION = 1.0
SHRINKAGE = 0.001
"""Of the covariance, towards as much in every direction."""
FOLDS = 5
CUTS = 500
"""Values that are tried."""
LEAST_FACTOR = 1e-3
"""Of margins that tell nothing: a label has to be told by something."""


@dataclass(frozen=True)
class Plane:
    """A plane, and what it says of the rows that it was made of.

    Attributes:
        weights: float64 [features].
        offset: of the margin, `features @ weights + offset`.
        unseen: float64 [rows], what is said of each row by a plane that was made without it; not a number for
            examples of which none is held back.
    """

    weights: np.ndarray
    offset: float
    unseen: np.ndarray


def discriminant(features: np.ndarray, given: np.ndarray, held_back: bool = True) -> Plane:
    """The plane between the rows that are given a label, bool [rows], and the others, of float [rows, features].

    Args:
        held_back: whether examples are held back, too, one after the other, to tell what is said of them unseen.

    What is said of a row with the label is of the mean of the others that have it; one row of the rest is too little
    of their mean to matter.
    """
    features = features.astype(np.float64)
    own, rest = features[given], features[~given]
    mean, middle = own.mean(axis=0), rest.mean(axis=0)
    covariance = np.cov(rest, rowvar=False)
    level = np.trace(covariance) / len(covariance)
    covariance = (1 - SHRINKAGE) * covariance + (SHRINKAGE * level + 1e-12) * np.eye(len(covariance))
    weights = np.linalg.solve(covariance, mean - middle)
    unseen = (features - (mean + middle) / 2) @ weights
    if not held_back:
        unseen[given] = np.nan
        return Plane(weights, -float((mean + middle) / 2 @ weights), unseen)
    others = (own.sum(axis=0) - own) / (len(own) - 1)
    directions = np.linalg.solve(covariance, (others - middle).T).T
    unseen[given] = ((own - (others + middle) / 2) * directions).sum(axis=1)
    return Plane(weights, -float((mean + middle) / 2 @ weights), unseen)


def machine(features: Any, given: np.ndarray, held_back: bool = True) -> Plane:
    """As `discriminant`, a support vector machine of sparse features; unseen are a fifth of the rows at a time."""

    def fit(rows: np.ndarray) -> LinearSVC:
        return LinearSVC(random_state=0, C=REGULARISATION, tol=TOLERANCE).fit(features[rows], given[rows])

    # Every row's place among its like: so a fold has its share of the few.
    places = np.where(given, np.cumsum(given), np.cumsum(~given))
    folds = min(FOLDS, int(given.sum())) if held_back else FOLDS
    unseen = np.full(len(given), np.nan)
    for fold in range(folds):
        held = (places % folds == fold) & (held_back | ~given)
        unseen[held] = fit(~held).decision_function(features[held])
    whole = fit(np.ones(len(given), bool))
    return Plane(whole.coef_[0], float(whole.intercept_[0]), unseen)


@dataclass(frozen=True)
class Curve:
    """What makes logits of margins: a factor for each, and an offset."""

    factors: np.ndarray
    offset: float

    def __call__(self, margins: np.ndarray) -> np.ndarray:
        """float64 [rows], of [rows, margins]."""
        return margins @ self.factors + self.offset


def curve(margins: np.ndarray, given: np.ndarray, expected: float, threshold: float) -> Curve:
    """The logistic curve of margins, float64 [rows, margins], moved so that a label counts best from `threshold` on.

    Args:
        given: bool [rows], which of them have the label.
        expected: as how many those count that have it.
        threshold: in (0, 1).

    Targets are smoothed as Platt's, or planes that separate all would be certain of everything. No margin counts
    against itself.
    """
    weights = np.where(given, expected / given.sum(), 1.0)
    towards = np.where(given, (given.sum() + 1) / (given.sum() + 2), 1 / ((~given).sum() + 2))
    share = np.concatenate([weights * towards, weights * (1 - towards)])
    actual, scale = np.repeat([True, False], len(given)), margins.std(axis=0) + 1e-12
    used = list(range(margins.shape[1]))
    while True:
        rows = np.concatenate([margins[:, used] / scale[used]] * 2)
        coefficients = LogisticRegression(C=1e6).fit(rows, actual, sample_weight=share).coef_[0]
        if len(used) == 1 or coefficients.min() >= 0:
            break
        used.pop(int(coefficients.argmin()))
    factors = np.zeros(margins.shape[1])
    factors[used] = np.maximum(coefficients, LEAST_FACTOR) / scale[used]
    return Curve(factors, logit(threshold) - best_cut(margins @ factors, given, expected))


def best_cut(values: np.ndarray, given: np.ndarray, expected: float) -> float:
    """From which value on, of float64 [rows], a label has the best F1 where `expected` rows have it.

    Which share of these is found is told by the few that are `given`, each blurred by Silverman's (1986) rule.
    """
    own, rest = values[given], np.sort(values[~given])
    width = 1.06 * own.std(ddof=1) * len(own) ** -0.2 + 1e-9
    cuts = np.linspace(min(own.min(), np.quantile(rest, 0.9)), own.max(), CUTS)
    found = expected * ndtr((own[:, None] - cuts) / width).mean(axis=0)
    f1 = 2 * found / (found + (len(rest) - np.searchsorted(rest, cuts)) + expected)
    best = cuts[f1 >= f1.max() - 1e-12]
    return float(best.min() + best.max()) / 2


def logit(score: float) -> float:
    """The logit whose score this is, in (0, 1)."""
    return float(np.log(score / (1 - score)))
