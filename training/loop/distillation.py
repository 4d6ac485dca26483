"""The loss of a student that is to answer as its teacher does."""

from __future__ import annotations

from typing import Any

import paddle
from paddle.nn import functional

from training.loop.losses import binary_cross_entropy
from training.model.narrowing import encoder_layers
from training.model.pooling import pool_in_last_layer

HIDDEN_WEIGHT = 0.1
"""Of the hidden states beside the logits, as DynaBERT weighs them in paddlenlp."""


class Distillation:
    """Compares a student with its teacher: their logits, and their hidden states after the embeddings and each layer.

    Args:
        teacher, student: sequence classification models of the same depth and hidden size; the last layer of both
            gives one vector a text from then on.
    """

    def __init__(self, teacher: paddle.nn.Layer, student: paddle.nn.Layer) -> None:
        self._teacher = teacher
        self._student_states: list[paddle.Tensor] = []
        teacher.eval()
        for model in (teacher, student):
            pool_in_last_layer(model)

        def record(layer: paddle.nn.Layer, inputs: Any, output: paddle.Tensor) -> None:
            if paddle.is_grad_enabled():
                self._student_states.append(output)

        for layer in _compared_layers(student):
            layer.register_forward_post_hook(record)

    def loss(self, logits: paddle.Tensor, input_ids: paddle.Tensor) -> paddle.Tensor:
        """Of the student's logits, float32 [batch, labels], for int64 [batch, length] that it was just run on.

        Sigmoid cross-entropy with the teacher's confidences, which is least where the logits agree, and the mean
        squared differences of the hidden states.
        """
        teacher_states: list[paddle.Tensor] = []
        # Only for this moment: one teacher may have several students after each other.
        hooks = [
            layer.register_forward_post_hook(lambda layer, inputs, output: teacher_states.append(output))
            for layer in _compared_layers(self._teacher)
        ]
        try:
            with paddle.no_grad():
                confidences = functional.sigmoid(self._teacher(input_ids, paddle.zeros_like(input_ids)))
        finally:
            for hook in hooks:
                hook.remove()
        distances = [functional.mse_loss(*pair) for pair in zip(self._student_states, teacher_states)]
        self._student_states.clear()
        return binary_cross_entropy(logits, confidences) + HIDDEN_WEIGHT * sum(distances)


def _compared_layers(model: paddle.nn.Layer) -> list[paddle.nn.Layer]:
    return [getattr(model, model.base_model_prefix).embeddings, *encoder_layers(model)]
