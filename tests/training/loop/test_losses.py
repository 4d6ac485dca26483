"""The losses against their formulas, written out row by row and label by label."""

import math

import numpy as np
import paddle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.loop.losses import create_loss

NO_PARENTS = np.array([-1, -1, -1, -1])
batches = st.lists(
    st.tuples(st.lists(st.floats(-20, 20), min_size=4, max_size=4), st.sets(st.integers(0, 3))), min_size=1, max_size=3
)


def value(name, logits, targets, weight=0.0, parents=NO_PARENTS):
    tensors = (paddle.to_tensor(np.array(values, np.float32)) for values in (logits, targets))
    children = np.flatnonzero(parents >= 0)
    return float(create_loss(name, weight, (children, parents[children]))(*tensors))


def one_hot(rows):
    return [[float(label in labels) for label in range(4)] for _, labels in rows]


@given(batches)
def test_zlpr_is_its_formula(rows):
    expected = [
        math.log(1 + sum(math.exp(-logits[label]) for label in labels))
        + math.log(1 + sum(math.exp(logits[label]) for label in range(4) if label not in labels))
        for logits, labels in rows
    ]
    loss = value("zlpr", [logits for logits, _ in rows], one_hot(rows))
    assert loss == pytest.approx(np.mean(expected), rel=1e-4, abs=1e-5)


@given(batches)
def test_bce_is_its_formula(rows):
    expected = [
        sum(math.log1p(math.exp(-logits[label] if label in labels else logits[label])) for label in range(4))
        for logits, labels in rows
    ]
    loss = value("bce", [logits for logits, _ in rows], one_hot(rows))
    assert loss == pytest.approx(np.mean(expected), rel=1e-4, abs=1e-5)


def test_a_child_above_its_parent_costs_what_the_option_says():
    parents = np.array([-1, 0, -1, 2])
    above, targets = [[0.0, 3.0, 2.0, 1.0]], [[1.0, 1.0, 1.0, 0.0]]
    plain, weighted = (value("bce", above, targets, weight, parents) for weight in (0.0, 2.0))
    sigmoid_of_3 = 1 / (1 + math.exp(-3))
    assert weighted - plain == pytest.approx(2 * (sigmoid_of_3 - 0.5) ** 2, rel=1e-4)
    below = [[3.0, 0.0, 2.0, 1.0]]
    assert value("bce", below, targets, 2.0, parents) == value("bce", below, targets, 0.0, parents)


@pytest.mark.parametrize("name", ["bce", "zlpr"])
def test_extreme_logits_stay_finite(name):
    assert math.isfinite(value(name, [[1e4, -1e4, 0.0, 1e4]], [[0.0, 1.0, 1.0, 1.0]]))
