"""A head start for encoders that train from nothing.

Random parameters have to discover from few labelled texts that neighbouring characters form words and that some words
are alike. Both can be known before the first step: attention heads are started as windows onto the neighbours of a
position, and token embeddings from what stands around each token in all texts, unlabelled ones included.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import paddle

from pipeline.compute.batching import run_in_batches
from pipeline.tensors import PAD_ID
from training.model.context_embeddings import EMBEDDING_SCALE, context_embeddings

STANDARDISED_ROWS = 512
LEAST_DEVIATION = 0.1
"""Of a dimension that is standardised, as a share of the mean deviation: less would mostly amplify rounding."""
HEAD_OFFSETS = (-2, -1, 1, 2, -3, 3, -4, 4)
ATTENTION_PEAK = 8.0
"""Attention logit, before softmax, that a head gives the neighbour it starts on."""


def start_from_frequencies(model: paddle.nn.Layer, labels: np.ndarray, fresh: np.ndarray) -> None:
    """Set the classifier's bias to the log odds of each label in bool [texts, labels]: what an empty text tells.

    Of those alone that are `fresh`, bool [labels].
    """
    frequencies = labels.mean(axis=0)
    odds = np.log((frequencies + 1e-4) / (1 - frequencies + 1e-4)).astype(np.float32)
    model.classifier.bias.set_value(np.where(fresh, odds, model.classifier.bias.numpy()))


def standardise(model: paddle.nn.Layer, rows: Sequence[np.ndarray]) -> None:
    """Let the dense layer in a missing pooler's place give each dimension of what it reads mean 0 and deviation 1.

    Pretrained encoders spread their texts over a narrow cone: without this a classifier sees nearly the same vector
    for each.

    Args:
        model: a sequence classification model whose encoder is read at the mean of its output.
        rows: token ids of its texts, int64 [length] each, at least one.
    """
    encoder = getattr(model, model.base_model_prefix)
    dense = encoder.pooler.dense
    sample = list(rows[:: -(-len(rows) // STANDARDISED_ROWS)])
    model.eval()

    def means(input_ids: np.ndarray, token_type_ids: np.ndarray) -> np.ndarray:
        with paddle.no_grad():
            return encoder(paddle.to_tensor(input_ids), paddle.to_tensor(token_type_ids))[0][:, 0].numpy()

    states = run_in_batches(sample, means)
    deviations = states.std(axis=0)
    scale = 1 / (np.maximum(deviations, LEAST_DEVIATION * deviations.mean()) + 1e-6)
    dense.weight.set_value(np.diag(scale).astype(np.float32))
    dense.bias.set_value((-states.mean(axis=0) * scale).astype(np.float32))


def initialise(model: paddle.nn.Layer, rows: Sequence[np.ndarray], seed: int) -> None:
    """Set the parameters of an ERNIE-shaped classifier, all but the classifier's bias.

    Args:
        model: a sequence classification model with an `ernie` encoder.
        rows: token ids of all texts at hand, int64 [length] each.
        seed: of the random parts.
    """
    encoder = model.ernie
    width, heads = encoder.config.hidden_size, encoder.config.num_attention_heads
    position_width = width // heads
    random = np.random.default_rng(seed)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2 and "embeddings" not in name:
            deviation = (2 / sum(parameter.shape)) ** 0.5  # Glorot and Bengio 2010
            parameter.set_value(random.normal(0, deviation, parameter.shape).astype(np.float32))

    words, positions, types = (
        getattr(encoder.embeddings, f"{name}_embeddings").weight for name in ("word", "position", "token_type")
    )
    contexts = context_embeddings(rows, words.shape[0], width - position_width, random)
    contexts[PAD_ID] = 0
    words.set_value(np.pad(contexts, ((0, 0), (position_width, 0))))
    positions.set_value(_positions(positions.shape, position_width))
    types.set_value(np.zeros(types.shape, np.float32))
    for layer in list(encoder.encoder.layers)[:-1]:
        _attend_to_neighbours(layer.self_attn, heads, position_width)


def _frequencies(position_width: int) -> np.ndarray:
    return np.pi * np.linspace(0.01, 1, position_width // 2) ** 1.5


def _positions(shape: Sequence[int], position_width: int) -> np.ndarray:
    """Position t holds cos(w t) and sin(w t) for each frequency w, in the coordinates that no token uses."""
    angles = np.arange(shape[0])[:, None] * _frequencies(position_width)
    positions = np.zeros(shape, np.float32)
    positions[:, 0 : 2 * angles.shape[1] : 2] = np.cos(angles)
    positions[:, 1 : 2 * angles.shape[1] : 2] = np.sin(angles)
    return positions * np.float32(EMBEDDING_SCALE * 2**0.5)


def _attend_to_neighbours(attention: paddle.nn.MultiHeadAttention, heads: int, position_width: int) -> None:
    """Start head i on the position HEAD_OFFSETS[i] away.

    The query at t is turned by w * offset in each frequency's plane, so that its product with the key at s is the sum
    of cos(w (t + offset - s)), which is largest at s = t + offset.
    """
    queries, keys = attention.q_proj.weight.numpy(), attention.k_proj.weight.numpy()
    frequencies = _frequencies(position_width)
    scale = (ATTENTION_PEAK * position_width**0.5 / position_width) ** 0.5
    for head, offset in zip(range(heads), HEAD_OFFSETS):
        columns = slice(head * position_width, (head + 1) * position_width)
        queries[:, columns] *= 0.1
        keys[:, columns] *= 0.1
        cos, sin = np.diag(np.cos(frequencies * offset)), np.diag(np.sin(frequencies * offset))
        even, odd = slice(0, 2 * len(frequencies), 2), slice(1, 2 * len(frequencies), 2)
        turned = queries[:position_width, columns]
        turned[even, even], turned[odd, even] = scale * cos, -scale * sin
        turned[even, odd], turned[odd, odd] = scale * sin, scale * cos
        keys[:position_width, columns] = scale * np.eye(position_width)
    attention.q_proj.weight.set_value(queries)
    attention.k_proj.weight.set_value(keys)
