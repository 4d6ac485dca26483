"""Planes come out the same each time, however many processes fit them."""

import numpy as np
from scipy.sparse import random as sparse_random

from training.linear import fitting


def test_planes_do_not_depend_on_processes_or_on_what_was_fitted_before(monkeypatch):
    random = np.random.default_rng(3)
    features = sparse_random(400, 300, density=0.05, format="csr", random_state=3)
    labels = random.random((400, 12)) < 0.2
    weights, offsets = fitting.separate(features, labels, 4.0)
    assert offsets.min() > fitting.NEVER
    monkeypatch.setattr(fitting, "LEAST_PRODUCTS", 0)
    for _ in range(2):
        again, moved = fitting.separate(features, labels, 4.0)
        np.testing.assert_array_equal(again, weights)
        np.testing.assert_array_equal(moved, offsets)
