"""An encoder with fewer attention heads and feed-forward neurons per layer."""

from __future__ import annotations

from fractions import Fraction

import paddle

from training.model.width import kept


def encoder_layers(model: paddle.nn.Layer) -> list[paddle.nn.Layer]:
    """The encoder layers of a sequence classification model."""
    return list(getattr(model, model.base_model_prefix).encoder.layers)


def narrowed(model: paddle.nn.Layer, width: Fraction) -> paddle.nn.Layer:
    """`model` itself with layers of `width` in place of its own, their parameters not yet set.

    Raises:
        InputError: the width leaves no whole number of heads.
    """
    for layer in encoder_layers(model):
        attention = layer.self_attn
        attention.num_heads = kept(attention.num_heads, width)
        hidden, inner = attention.out_proj.weight.shape[1], attention.num_heads * attention.head_dim
        neurons = max(1, int(layer.linear1.weight.shape[1] * width))
        for name in ("q_proj", "k_proj", "v_proj"):
            setattr(attention, name, paddle.nn.Linear(hidden, inner))
        attention.out_proj = paddle.nn.Linear(inner, hidden)
        layer.linear1 = paddle.nn.Linear(hidden, neurons)
        layer.linear2 = paddle.nn.Linear(neurons, hidden)
    return model
