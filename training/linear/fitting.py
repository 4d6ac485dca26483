"""Fitting the linear part: a linear support vector machine for each label, over TF-IDF of n-grams."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.svm import LinearSVC
from sklearn.utils.parallel import Parallel, delayed

from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.metrics.sets import Metrics
from pipeline.text.linear import LinearPart
from training.linear.features import learn_tables, matrix

REGULARISATIONS = (1.0, 4.0)
MARGINS = tuple(round(-step / 20, 2) for step in range(21))
"""From 0 to -1, where no label counts: sets with many labels want -0.5 and less."""
MOST_PRODUCTS = 10_000_000_000
"""Of n-grams in all rows, labels and regularisations: some 15 minutes on two cores. More rows are thinned out."""
MOST_ENTRIES = 100_000_000
"""N-grams in all rows: 1.2 GB, and 1.6 GB for each machine that is fitted at a time."""
COPIED_BYTES = 4 << 30
"""liblinear copies all rows for each machine, 16 bytes an n-gram: so much for all that are fitted at a time."""
LEAST_PRODUCTS = 500_000_000
"""Of n-grams in all rows and labels, half a minute's worth, that processes of their own are worth starting for."""
LEAST_ROWS = 20
"""Of each label, that stay before others when rows are thinned out."""
PROBED = 1000
"""Rows whose n-grams are counted to foresee how many all have."""
TOLERANCE = 0.01
"""Of liblinear; with scikit-learn's 0.0001 it takes longer, and micro F1 on dev is the same to 0.02 points."""
NEVER, ALWAYS = -10.0, 10.0
"""The margins of a label that no training row has, and of one that all have: there is nothing to separate."""


@dataclass(frozen=True)
class Fitted:
    """A linear model and what it says of dev.

    Attributes:
        part: its logits are margins: distances from each label's plane.
        margins: float32 [dev texts, labels].
        separable: bool [labels], which had something to separate; the margins of the others are made up.
        regularisation: C of the machines, chosen on dev.
    """

    part: LinearPart
    margins: np.ndarray
    separable: np.ndarray
    regularisation: float


def fit_linear(
    texts: Sequence[str],
    labels: np.ndarray,
    dev_texts: Sequence[str],
    dev_labels: np.ndarray,
    hierarchy: LabelHierarchy,
    most_products: int = MOST_PRODUCTS,
) -> Fitted:
    """Fit the planes to normalised texts and labels, bool [texts, labels]; the regularisation is chosen on dev."""
    tables, rarity = learn_tables(texts, labels.shape[1])
    probe = matrix(tables, rarity, texts[:: -(-len(texts) // PROBED)])
    step = thinning(probe, len(texts), labels.shape[1], most_products)
    if step > 1:
        rows = thinned(labels, step)
        print(f"note: the linear part learns from {len(rows):,} of {len(texts):,} rows; all would take too long")
        texts, labels = [texts[row] for row in rows], labels[rows]
    features, dev_features = (matrix(tables, rarity, each) for each in (texts, dev_texts))
    best, fitted = -1.0, None
    for regularisation in REGULARISATIONS:
        weights, offsets = separate(features, labels, regularisation)
        margins = dev_features @ weights + offsets
        f1 = max(margin_scores(hierarchy, dev_labels, margins, margin)["micro_f1"] for margin in MARGINS)
        if f1 > best:
            best, fitted = f1, (weights, offsets, margins, regularisation)
    assert fitted is not None
    weights, offsets, margins, regularisation = fitted
    part = LinearPart(tables, rarity, weights, offsets)
    return Fitted(part, margins.astype(np.float32), separable(labels), regularisation)


def thinning(probe: Any, rows: int, labels: int, most_products: int) -> int:
    """Of how many rows one is learnt from, so that neither time nor memory is short.

    Args:
        probe: TF-IDF of some of the texts, sparse.
        rows: how many there are of all.
        labels: how many there are.
        most_products: of n-grams in all rows, labels and regularisations.
    """
    entries = probe.nnz * rows // max(1, probe.shape[0])
    return max(1, -(-entries * labels * len(REGULARISATIONS) // most_products), -(-entries // MOST_ENTRIES))


def thinned(labels: np.ndarray, step: int) -> np.ndarray:
    """The numbers of one row of `step`, int64, rising: the first of each label before others by lot."""
    rank = np.full(len(labels), LEAST_ROWS)
    for label in labels.T:
        first = np.flatnonzero(label)[:LEAST_ROWS]
        rank[first] = np.minimum(rank[first], np.arange(len(first)))
    lots = np.random.default_rng(0).permutation(len(labels))
    return np.sort(np.lexsort((lots, rank))[: -(-len(labels) // step)])


def separate(features: Any, labels: np.ndarray, regularisation: float) -> tuple[np.ndarray, np.ndarray]:
    """Each label's plane.

    Args:
        features: float64 [texts, features], sparse.
        labels: bool [texts, labels].
        regularisation: C.

    Returns:
        float64 weights [features, labels] and offsets [labels].
    """
    weights, offsets = np.zeros((features.shape[1], labels.shape[1]), np.float32), np.full(labels.shape[1], NEVER)
    offsets[labels.all(axis=0)] = ALWAYS
    positions = np.flatnonzero(separable(labels)).tolist()
    at_once = min(len(os.sched_getaffinity(0)), COPIED_BYTES // (16 * features.nnz + 1))
    if features.nnz * len(positions) < LEAST_PRODUCTS:
        at_once = 1
    # Not threads: liblinear draws from one generator of random numbers in a process, and no fit came out as before.
    planes = Parallel(max(1, at_once), return_as="generator")(
        delayed(_plane)(features, labels[:, position], regularisation) for position in positions
    )
    for position, (plane, offset) in zip(positions, planes):
        weights[:, position], offsets[position] = plane, offset
    return weights, offsets


def _plane(features: Any, labels: np.ndarray, regularisation: float) -> tuple[np.ndarray, float]:
    machine = LinearSVC(random_state=0, C=regularisation, tol=TOLERANCE).fit(features, labels)
    return machine.coef_[0].astype(np.float32), float(machine.intercept_[0])


def separable(labels: np.ndarray) -> np.ndarray:
    """Which labels some of the texts have and others not, bool [labels], of bool [texts, labels]."""
    return labels.any(axis=0) & ~labels.all(axis=0)


def margin_scores(hierarchy: LabelHierarchy, actual: np.ndarray, margins: np.ndarray, least: float) -> dict[str, Any]:
    """Scores of labels from a margin on, see `pipeline.metrics.sets.Metrics.result`.

    Every text gets at least one label where every text has one, and labels bring their ancestors.
    """
    predicted = margins >= least
    if actual.any(axis=1).all():
        predicted[np.arange(len(predicted)), margins.argmax(axis=1)] = True
    metrics = Metrics(hierarchy)
    metrics.update(actual, hierarchy.raise_ancestors(predicted))
    return metrics.result()
