"""The loss of a student that is to answer as its teacher does."""

from __future__ import annotations

from typing import Any

import paddle
from paddle.nn import functional

from training.losses import binary_cross_entropy
from training.model.first_token import read_first_token_only
from training.pruning.importance import encoder_layers

HIDDEN_WEIGHT = 0.1
"""Of the hidden states beside the logits, as DynaBERT weighs them in paddlenlp."""


class Distillation:
    """Compares a student with its teacher: their logits, and their hidden states after the embeddings and each layer.

    Args:
        teacher, student: sequence classification models of the same depth and hidden size; both compute the first
            position alone in their last layer from then on.
    """

    def __init__(self, teacher: paddle.nn.Layer, student: paddle.nn.Layer) -> None:
        self._teacher = teacher
        self._states: dict[str, list[paddle.Tensor]] = {"teacher": [], "student": []}
        teacher.eval()
        for name, model in (("teacher", teacher), ("student", student)):
            read_first_token_only(model)
            for layer in (getattr(model, model.base_model_prefix).embeddings, *encoder_layers(model)):
                layer.register_forward_post_hook(self._recorder(name))

    def _recorder(self, name: str) -> Any:
        def record(layer: paddle.nn.Layer, inputs: Any, output: paddle.Tensor) -> None:
            if paddle.is_grad_enabled() or name == "teacher":
                self._states[name].append(output)

        return record

    def loss(self, logits: paddle.Tensor, input_ids: paddle.Tensor) -> paddle.Tensor:
        """Of the student's logits, float32 [batch, labels], for int64 [batch, length] that it was just run on.

        Sigmoid cross-entropy with the teacher's confidences, which is least where the logits agree, and the mean
        squared differences of the hidden states.
        """
        with paddle.no_grad():
            confidences = functional.sigmoid(self._teacher(input_ids, paddle.zeros_like(input_ids)))
        distances = [functional.mse_loss(*pair) for pair in zip(self._states["student"], self._states["teacher"])]
        for states in self._states.values():
            states.clear()
        return binary_cross_entropy(logits, confidences) + HIDDEN_WEIGHT * sum(distances)
