"""A classifier that reads several texts in one row, for the packed graph; see `pipeline.compute.packing`."""

from __future__ import annotations

from typing import Any

import paddle

MASKED = -1e4
"""Added to an attention product that must not count, as paddlenlp's models do for padding."""


class PackedClassifier(paddle.nn.Layer):
    """The same answers as `model` gives to each text alone.

    Args:
        model: a sequence classification model whose last layer is a `training.model.first_token.FirstPositionLayer`.
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
        mask = _mask(text_numbers, text_numbers)
        for layer in lower:
            states = layer(states, src_mask=mask)
        rows, slots = paddle.shape(first_tokens)[0], paddle.shape(first_tokens)[1]
        width = states.shape[-1]
        places = first_tokens.flatten()
        first = paddle.gather(states.reshape([-1, width]), places).reshape([rows, slots, width])
        readers = paddle.gather(text_numbers.flatten(), places).reshape([rows, slots])
        first = last.read(first, states, _mask(readers, text_numbers))
        return self.model.classifier(encoder.pooler(first.reshape([-1, 1, width])))


def _mask(readers: paddle.Tensor, read: paddle.Tensor) -> paddle.Tensor:
    """float32 [rows, 1, readers, read]: 0 where both belong to the same text."""
    same = (readers.unsqueeze(2) == read.unsqueeze(1)).astype("float32")
    return ((1.0 - same) * MASKED).unsqueeze(1)
