"""The losses that a multi-label classifier over a hierarchy can be trained with."""

from __future__ import annotations

from typing import Callable

import numpy as np
import paddle
from paddle.nn import functional

Loss = Callable[[paddle.Tensor, paddle.Tensor], paddle.Tensor]
"""From logits and targets in [0, 1], float32 [batch, labels] each, to a scalar."""


def create_loss(name: str, hierarchy_weight: float, parents: np.ndarray) -> Loss:
    """The loss called `name`, one of `training.loop.options.LOSSES`, plus a weighted hierarchy penalty.

    Args:
        parents: int [labels], each label's parent or -1; see `pipeline.labels.hierarchy.LabelHierarchy`.
    """
    base = {"bce": binary_cross_entropy, "zlpr": zlpr}[name]
    children = np.flatnonzero(parents >= 0)
    if not hierarchy_weight or not len(children):
        return base
    child_columns, parent_columns = (paddle.to_tensor(columns) for columns in (children, parents[children]))

    def loss(logits: paddle.Tensor, targets: paddle.Tensor) -> paddle.Tensor:
        return base(logits, targets) + hierarchy_weight * hierarchy_penalty(logits, child_columns, parent_columns)

    return loss


def binary_cross_entropy(logits: paddle.Tensor, targets: paddle.Tensor) -> paddle.Tensor:
    """Sigmoid cross-entropy, summed over the labels and averaged over the batch.

    Summed, so that a label weighs the same whether there are ten or ten thousand others.
    """
    return functional.binary_cross_entropy_with_logits(logits, targets, reduction="sum") / logits.shape[0]


def zlpr(logits: paddle.Tensor, targets: paddle.Tensor) -> paddle.Tensor:
    """Zero-bounded log-sum-exp and pairwise rank-based loss (Su et al. 2022, arXiv 2208.02955), batch average.

    log(1 + sum over the text's labels of exp(-logit)) + log(1 + sum over the others of exp(logit)): every label of the
    text is to rank above 0 and every other below. Targets between 0 and 1 count as labels by that share. Its scores
    rank well but are no calibrated probabilities: where a target is t, the best logit is half the log odds of t.
    """
    tiny = 1e-30  # makes a target of 0 a weight that vanishes beside the 1 in the sum
    zeros = paddle.zeros([logits.shape[0], 1])
    wanted = paddle.concat([zeros, paddle.log(targets + tiny) - logits], axis=1)
    unwanted = paddle.concat([zeros, paddle.log(1 - targets + tiny) + logits], axis=1)
    return (paddle.logsumexp(wanted, axis=1) + paddle.logsumexp(unwanted, axis=1)).mean()


def hierarchy_penalty(logits: paddle.Tensor, children: paddle.Tensor, parents: paddle.Tensor) -> paddle.Tensor:
    """How far children score above their parents: squared difference of the sigmoids, summed, averaged over the batch.

    Args:
        children, parents: int [pairs], columns of each child and of its parent.
    """
    scores = functional.sigmoid(logits)
    excess = functional.relu(paddle.index_select(scores, children, 1) - paddle.index_select(scores, parents, 1))
    return (excess * excess).sum() / logits.shape[0]
