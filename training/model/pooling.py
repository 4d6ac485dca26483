"""The last encoder layer, which gives one vector a text: its first token's, or the mean of all.

A classifier reads one position of the encoder's output. Where that is [CLS], the last layer needs a query, a
feed-forward pass and the normalisations there alone; logits and gradients stay the same up to rounding. A two-layer
encoder costs about 40 % less, a six-layer one about 15 %, in training and in every exported graph. Encoders that were
pretrained to embed whole texts say it in the mean of all positions; the layer gives that mean in [CLS]'s place.
"""

from __future__ import annotations

import paddle

from training.model.model_names import FIRST, MEAN

MASKED = -1e4
"""Added to an attention product that must not count, as paddlenlp's models do for padding."""


class FirstPositionLayer(paddle.nn.TransformerEncoderLayer):
    """A post-normalised encoder layer that gives [batch, 1, width] for [batch, length, width]."""

    def forward(
        self,
        src: paddle.Tensor,
        src_mask: paddle.Tensor | None = None,
        cache: None = None,
        output_attentions: bool = False,
    ) -> paddle.Tensor:
        return self._read(src[:, :1], src, src_mask)

    def read_packed(
        self, states: paddle.Tensor, text_numbers: paddle.Tensor, first_tokens: paddle.Tensor
    ) -> paddle.Tensor:
        """One vector for each text of a packed batch, [rows, slots, width].

        Args:
            states: [rows, length, width].
            text_numbers, first_tokens: as in a `pipeline.compute.packing.PackedBatch`.
        """
        width = states.shape[-1]
        rows, slots = paddle.shape(first_tokens)[0], paddle.shape(first_tokens)[1]
        first = paddle.gather(states.reshape([-1, width]), first_tokens.flatten()).reshape([rows, slots, width])
        return self._read(first, states, attention_mask(_numbers(text_numbers, first_tokens), text_numbers))

    def _read(self, first: paddle.Tensor, src: paddle.Tensor, src_mask: paddle.Tensor | None) -> paddle.Tensor:
        """The layer's output at the positions whose inputs are `first`, [batch, positions, width].

        Args:
            src: what they attend to, [batch, length, width].
            src_mask: added to the attention's products, broadcast to [batch, heads, positions, length].
        """
        first = self.norm1(first + self.dropout1(self.self_attn(first, src, src, src_mask)))
        transformed = self.linear2(self.dropout(self.activation(self.linear1(first))))
        return self.norm2(first + self.dropout2(transformed))


class MeanLayer(paddle.nn.TransformerEncoderLayer):
    """An encoder layer that gives the mean of its outputs over a text's tokens, [batch, 1, width]."""

    def forward(
        self,
        src: paddle.Tensor,
        src_mask: paddle.Tensor | None = None,
        cache: None = None,
        output_attentions: bool = False,
    ) -> paddle.Tensor:
        states = paddle.nn.TransformerEncoderLayer.forward(self, src, src_mask)
        if src_mask is None:
            return states.mean(axis=1, keepdim=True)
        return _means(states, (src_mask.squeeze(1) > MASKED / 2).astype(states.dtype))

    def read_packed(
        self, states: paddle.Tensor, text_numbers: paddle.Tensor, first_tokens: paddle.Tensor
    ) -> paddle.Tensor:
        """As `FirstPositionLayer.read_packed`."""
        mask = attention_mask(text_numbers, text_numbers)
        states = paddle.nn.TransformerEncoderLayer.forward(self, states, mask)  # paddle makes no graph of super()
        return _means(states, _same(_numbers(text_numbers, first_tokens), text_numbers))


class EvenPooler(paddle.nn.Layer):
    """Takes BERT's pooler's place behind a MeanLayer: its dense layer alone, which evens out means and learns nothing.

    What it does could be worked into the classifier above; apart from it, that begins well conditioned.
    """

    def forward(self, hidden_states: paddle.Tensor) -> paddle.Tensor:
        return self.dense(hidden_states[:, 0])


LAYERS = {FIRST: FirstPositionLayer, MEAN: MeanLayer}


def pool_in_last_layer(model: paddle.nn.Layer) -> bool:
    """Let the last layer of the encoder of a sequence classification model give one vector a text.

    Layers of another kind than a post-normalised `TransformerEncoderLayer` are left as they are.

    Returns:
        Whether it does so now.
    """
    if not hasattr(model, "base_model_prefix"):
        return False
    body = getattr(model, model.base_model_prefix)
    layers = getattr(getattr(body, "encoder", None), "layers", None)
    if not layers:
        return False
    if type(layers[-1]) is paddle.nn.TransformerEncoderLayer and not layers[-1].normalize_before:
        layers[-1].__class__ = LAYERS[getattr(model.config, "pooling", FIRST)]
        if isinstance(layers[-1], MeanLayer):
            body.pooler.__class__ = EvenPooler
            for parameter in body.pooler.parameters():
                parameter.stop_gradient = True
    return isinstance(layers[-1], tuple(LAYERS.values()))


def attention_mask(readers: paddle.Tensor, read: paddle.Tensor) -> paddle.Tensor:
    """float32 [rows, 1, readers, read]: 0 where both belong to the same text, MASKED elsewhere."""
    return ((1.0 - _same(readers, read)) * MASKED).unsqueeze(1)


def _same(readers: paddle.Tensor, read: paddle.Tensor) -> paddle.Tensor:
    """float32 [rows, readers, read]: whether both belong to the same text."""
    return (readers.unsqueeze(2) == read.unsqueeze(1)).astype("float32")


def _numbers(text_numbers: paddle.Tensor, first_tokens: paddle.Tensor) -> paddle.Tensor:
    """int64 [rows, slots]: the number of the text that begins there."""
    rows, slots = paddle.shape(first_tokens)[0], paddle.shape(first_tokens)[1]
    return paddle.gather(text_numbers.flatten(), first_tokens.flatten()).reshape([rows, slots])


def _means(states: paddle.Tensor, counted: paddle.Tensor) -> paddle.Tensor:
    """[batch, texts, width], the means over the positions that are 1 in [batch, texts, length]."""
    return paddle.matmul(counted, states) / counted.sum(axis=-1, keepdim=True)
