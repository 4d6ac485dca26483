"""Representer points of the classifier layer (Yeh et al. 2018).

With an L2 penalty, the best classifier layer on fixed features is a sum over the training rows: each row's feature
times its representer value, which is proportional to what the layer still gets wrong about the row's own labels. A
row with large values pulls the layer hard against what the other rows say.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from pipeline.files.dataset import Example
from pipeline.labels.hierarchy import LabelHierarchy
from training.analysis.evidence.suspicion import Suspicion, suggestions
from training.analysis.progress import progress

PENALTY = 0.003
ITERATIONS = 100


def representer_points(features: np.ndarray, examples: Sequence[Example], hierarchy: LabelHierarchy) -> Suspicion:
    """Fit the classifier layer anew with a penalty and see which rows pull it away from the others.

    The loss is the mean over the rows of the sigmoid cross-entropy summed over the labels, plus PENALTY times the sum
    of the squared weights.

    Args:
        features: float32 [rows, width], what the classifier layer reads.
        examples: the rows.

    Returns:
        Scores: the sum over the labels of the absolute representer values.
    """
    given = hierarchy.matrix([example.labels for example in examples]).astype(np.float32)
    inputs = np.hstack([features, np.ones((len(features), 1), np.float32)])
    shape = inputs.shape[1], given.shape[1]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(shape).astype(np.float32)
        logits = inputs @ weights
        error = expit(logits) - given
        penalised = weights[:-1]
        entropy = float((np.logaddexp(0, logits) - given * logits).sum(dtype=np.float64)) / len(inputs)
        gradient = inputs.T @ error / len(inputs)
        gradient[:-1] += 2 * PENALTY * penalised
        return entropy + PENALTY * float((penalised**2).sum(dtype=np.float64)), gradient.ravel().astype(np.float64)

    with progress(total=ITERATIONS, desc="representer points", unit="step") as bar:
        found = minimize(
            loss,
            np.zeros(shape[0] * shape[1]),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": ITERATIONS},
            callback=lambda _: bar.update(),
        )
    probabilities = expit(inputs @ found.x.reshape(shape).astype(np.float32))
    values = (given - probabilities) / (2 * PENALTY * len(inputs))
    return Suspicion(np.abs(values).sum(axis=1, dtype=np.float64), suggestions(hierarchy, probabilities))
