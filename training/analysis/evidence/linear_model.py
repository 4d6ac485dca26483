"""A linear model of the labels that needs no encoder: TF-IDF features, and ridge regression judged row by row.

Ridge regression has its leave-one-out predictions in closed form (Golub, Heath and Wahba 1979): what it would say of
each row, had that row and its labels been absent, for all labels at once and for the price of one fit. So a wrong
label cannot vouch for itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg.blas import dsymm
from scipy.linalg.lapack import dpotrf, dpotri
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from tqdm import tqdm

from pipeline.text.normalisation import normalise
from pipeline.text.unspaced import mostly_unspaced
from training.analysis.progress import progress
from training.analysis.unicode_words import characters, terms
from training.linear.joining import logistic_curve

RIDGE = 0.3
GROUP_ROWS = 12_000
"""Rows that are fitted together at most: their kernel takes 1.2 GB, and its inverse 20 s on two cores."""
_KERNEL_ROWS = 500
_CALIBRATION_POINTS = 1 << 20


def tfidf_vectoriser(texts: Sequence[str]) -> TfidfVectorizer:
    """Characters and their pairs where most texts are in scripts without spaces between words, else words and pairs.

    It is not fitted yet.

    Args:
        texts: normalised.
    """
    wordless = not any(map(terms, texts))
    return TfidfVectorizer(
        tokenizer=characters if wordless or mostly_unspaced(texts) else terms,
        token_pattern=None,
        ngram_range=(1, 2),
        sublinear_tf=True,
        dtype=np.float64,
    )


def leave_one_out_probabilities(texts: Sequence[str], labels: np.ndarray, seed: int) -> np.ndarray:
    """The probability of each label for each text, by a model that has not seen that text's own labels.

    Where there are more than GROUP_ROWS texts, they are divided at random, and each group is judged by its own rows.
    Margins become probabilities by one logistic curve for all labels (Platt 1999).

    Args:
        texts: of any language; they are normalised.
        labels: bool [texts, labels], as given.
        seed: of the division into groups.

    Returns:
        float32 [texts, labels], in (0, 1).
    """
    normalised = [normalise(text) for text in texts]
    matrix = tfidf_vectoriser(normalised).fit_transform(normalised)
    margins = np.empty(labels.shape, np.float32)
    order = np.random.default_rng(seed).permutation(len(texts))
    groups = np.array_split(order, -(-len(texts) // GROUP_ROWS))
    with progress(total=len(texts), desc="leave one out", unit="row") as bar:
        for group in groups:
            margins[group] = _leave_one_out(matrix[group], labels[group].astype(np.float64), bar)
    return _calibrated(margins, labels)


def _leave_one_out(features: csr_matrix, labels: np.ndarray, bar: tqdm) -> np.ndarray:
    """Leave-one-out predictions, float64 [rows, labels], of ridge regression with an intercept.

    With G the inverse of the kernel plus RIDGE on its diagonal, the prediction for row i without row i is
    y_i - (G y)_i / G_ii.
    """
    rows = features.shape[0]
    kernel = np.empty((rows, rows), order="F")
    for start in range(0, rows, _KERNEL_ROWS):
        part = slice(start, start + _KERNEL_ROWS)
        kernel[:, part] = (features @ features[part].T).toarray()
        bar.update(len(kernel[:, part].T) / 2)
    kernel += 1
    kernel.flat[:: rows + 1] += RIDGE
    factor, _ = dpotrf(kernel, lower=1, overwrite_a=1)
    inverse, fault = dpotri(factor, lower=1, overwrite_c=1)  # in the lower triangle, all in the same memory
    assert not fault, "the ridge makes the kernel positive definite"
    predicted = labels - dsymm(1.0, inverse, labels, lower=1) / inverse.diagonal()[:, None]
    bar.update(rows / 2)
    return predicted


def _calibrated(margins: np.ndarray, labels: np.ndarray) -> np.ndarray:
    margins_flat, labels_flat = margins.ravel(), labels.ravel()
    if labels_flat.all() or not labels_flat.any():
        return np.clip(margins, 1e-6, 1 - 1e-6)
    sample = np.random.default_rng(0).integers(len(margins_flat), size=_CALIBRATION_POINTS)
    points = sample if len(margins_flat) > _CALIBRATION_POINTS else slice(None)
    curve = logistic_curve(margins_flat[points, None], labels_flat[points])
    slope, offset = float(curve.coef_[0, 0]), float(curve.intercept_[0])
    return np.clip(1 / (1 + np.exp(-(slope * margins + offset))), 1e-6, 1 - 1e-6).astype(np.float32)
