"""How much each attention head and each feed-forward neuron of an encoder matters to what it answers.

Put a gate of 1 on the output of a head. The loss's derivative by the gate tells, to first order, what removing the
head costs (Michel et al. 2019; Molchanov et al. 2017); DynaBERT (Hou et al. 2020) ranks by its absolute value, summed
over batches. With W the rows of the next weight matrix that read the head, the derivative is the sum of the elements
of W times the gradient of W, so that a plain backward pass gives it. The same holds for a neuron and its row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

import numpy as np
import paddle

from pipeline.compute.windows import Windows
from training.data.batch_parts import batch_parts
from training.data.encoded import EncodedDataset
from training.loop.losses import pooled
from training.model.cpu_gradients import backward
from training.model.narrowing import encoder_layers


@dataclass(frozen=True)
class LayerImportance:
    """Of one encoder layer: float [heads] and float [neurons], not negative."""

    heads: np.ndarray
    neurons: np.ndarray


def measure_importance(
    model: paddle.nn.Layer,
    dataset: EncodedDataset,
    loss: Callable[[paddle.Tensor, paddle.Tensor], paddle.Tensor],
    batch_size: int,
    windows: Windows | None = None,
) -> list[LayerImportance]:
    """The importance of each layer's heads and neurons to the loss on `dataset`.

    Args:
        loss: of logits and targets, float32 [batch, labels].
        batch_size: texts per batch; the longest stand together.
        windows: what longer rows than the model was trained on are cut into.
    """
    windows = windows or Windows(model.config.max_position_embeddings)
    model.eval()
    layers = encoder_layers(model)
    sums = [
        LayerImportance(np.zeros(layer.self_attn.num_heads), np.zeros(layer.linear2.weight.shape[0]))
        for layer in layers
    ]
    order = np.argsort([len(row) for row in dataset.rows], kind="stable")
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        labels = dataset.labels[batch].astype(np.float32)
        for part in batch_parts([dataset.rows[row] for row in batch], windows):
            input_ids, targets = paddle.to_tensor(part.input_ids), paddle.to_tensor(labels[part.texts])
            logits = pooled(model(input_ids, paddle.zeros_like(input_ids)), part.owners, windows.pool)
            backward(loss(logits, targets) * (len(targets) / len(batch)))
        for layer, total in zip(layers, sums):
            by_row = _gate_gradients(layer.self_attn.out_proj.weight)
            np.add(total.heads, np.abs(by_row.reshape(len(total.heads), -1).sum(axis=1)), out=total.heads)
            np.add(total.neurons, np.abs(_gate_gradients(layer.linear2.weight)), out=total.neurons)
        model.clear_gradients()
    return sums


def _gate_gradients(weight: paddle.Tensor) -> np.ndarray:
    """float32 [rows]: the loss's derivative by a gate on what each row of `weight` reads."""
    return (weight * weight.grad).sum(axis=1).numpy()
