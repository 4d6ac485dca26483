"""Which attention heads and feed-forward neurons a narrow model takes over: the most important ones."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import paddle

from training.model.narrowing import encoder_layers, narrowed
from training.pruning.importance import LayerImportance


def prune(model: paddle.nn.Layer, importance: Sequence[LayerImportance], width: Fraction) -> paddle.nn.Layer:
    """A copy of `model` that keeps the most important heads and neurons of each layer, in their order.

    Raises:
        InputError: the width leaves no whole number of heads.
    """
    narrow = narrowed(copy.deepcopy(model), width)
    for source, target, values in zip(encoder_layers(model), encoder_layers(narrow), importance):
        attention = source.self_attn
        heads = _most_important(values.heads, target.self_attn.num_heads)
        columns = (heads[:, None] * attention.head_dim + np.arange(attention.head_dim)).ravel()
        neurons = _most_important(values.neurons, target.linear1.weight.shape[1])
        for name in ("q_proj", "k_proj", "v_proj"):
            _copy_columns(getattr(attention, name), getattr(target.self_attn, name), columns)
        _copy_rows(attention.out_proj, target.self_attn.out_proj, columns)
        _copy_columns(source.linear1, target.linear1, neurons)
        _copy_rows(source.linear2, target.linear2, neurons)
    return narrow


def _most_important(values: np.ndarray, count: int) -> np.ndarray:
    """Positions of the `count` largest values, ascending; of equal ones the first."""
    return np.sort(np.argsort(-values, kind="stable")[:count])


def _copy_columns(source: paddle.nn.Linear, target: paddle.nn.Linear, columns: np.ndarray) -> None:
    target.weight.set_value(source.weight.numpy()[:, columns])
    target.bias.set_value(source.bias.numpy()[columns])


def _copy_rows(source: paddle.nn.Linear, target: paddle.nn.Linear, rows: np.ndarray) -> None:
    target.weight.set_value(source.weight.numpy()[rows])
    target.bias.set_value(source.bias.numpy())
