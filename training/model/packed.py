"""A classifier that reads several texts in one row, for the packed graph; see `pipeline.compute.packing`."""

from __future__ import annotations

from typing import Any

import paddle

from training.model.pooling import attention_mask


class PackedClassifier(paddle.nn.Layer):
    """The same answers as `model` gives to each text alone.

    Args:
        model: a sequence classification model whose last layer is one of `training.model.pooling.LAYERS`.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        input_ids: paddle.Tensor,
        position_ids: paddle.Tensor,
        text_numbers: paddle.Tensor,
        first_tokens: paddle.Tensor,
    ) -> paddle.Tensor:
        """Logits, float32 [rows * slots, labels], of the inputs of a `pipeline.compute.packing.PackedBatch`."""
        encoder = getattr(self.model, self.model.base_model_prefix)
        *lower, last = encoder.encoder.layers
        states = encoder.embeddings(input_ids=input_ids, position_ids=position_ids)
        mask = attention_mask(text_numbers, text_numbers)
        for layer in lower:
            states = layer(states, src_mask=mask)
        pooled = last.read_packed(states, text_numbers, first_tokens)
        return self.model.classifier(encoder.pooler(pooled.reshape([-1, 1, states.shape[-1]])))
