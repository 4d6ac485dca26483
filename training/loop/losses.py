"""The losses that a multi-label classifier over a hierarchy can be trained with."""

from __future__ import annotations

from typing import Callable

import numpy as np
import paddle
from paddle.nn import functional

from pipeline.text.long_texts import MEAN

Loss = Callable[[paddle.Tensor, paddle.Tensor], paddle.Tensor]
"""From logits and targets in [0, 1], float32 [batch, labels] each, to a scalar."""


def create_loss(name: str, hierarchy_weight: float, pairs: tuple[np.ndarray, np.ndarray]) -> Loss:
    """The loss called `name`, one of `training.loop.options.LOSSES`, plus a weighted hierarchy penalty.

    Args:
        pairs: labels and their parents; see `pipeline.labels.hierarchy.LabelHierarchy`.
    """
    base = {"bce": binary_cross_entropy, "zlpr": zlpr}[name]
    if not hierarchy_weight or not len(pairs[0]):
        return base
    child_columns, parent_columns = map(paddle.to_tensor, pairs)

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


def pooled(logits: paddle.Tensor, owners: np.ndarray, pool: str) -> paddle.Tensor:
    """Logits of texts, float32 [texts, labels], from those of their windows, float32 [windows, labels].

    The maximum is a smooth one, log(sum(exp)): every window learns by its share, so that the one that tells a label is
    found, even if it is not the largest at first.

    Args:
        owners: int [windows], ascending from 0: the text of each window.
        pool: a name of `pipeline.text.long_texts.POOLS`.
    """
    if len(np.unique(owners)) == len(owners):
        return logits
    numbers = paddle.to_tensor(owners)
    if pool == MEAN:
        return paddle.geometric.segment_mean(logits, numbers)
    largest = paddle.geometric.segment_max(logits.detach(), numbers)
    shares = paddle.exp(logits - paddle.gather(largest, numbers))
    return largest + paddle.log(paddle.geometric.segment_sum(shares, numbers))


def hierarchy_penalty(logits: paddle.Tensor, children: paddle.Tensor, parents: paddle.Tensor) -> paddle.Tensor:
    """How far children score above their parents: squared difference of the sigmoids, summed, averaged over the batch.

    Args:
        children, parents: int [pairs], columns of each child and of its parent.
    """
    scores = functional.sigmoid(logits)
    excess = functional.relu(paddle.index_select(scores, children, 1) - paddle.index_select(scores, parents, 1))
    return (excess * excess).sum() / logits.shape[0]
