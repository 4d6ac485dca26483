"""The last encoder layer for the first token alone.

A classifier reads the encoder's output at [CLS] and nowhere else, so in the last layer only that position needs a
query, a feed-forward pass and the normalisations. Logits and gradients stay the same up to rounding; a two-layer
encoder costs about 40 % less, a six-layer one about 15 %, in training and in every exported graph.
"""

from __future__ import annotations

import paddle


class FirstPositionLayer(paddle.nn.TransformerEncoderLayer):
    """A post-normalised encoder layer that gives [batch, 1, width] for [batch, length, width]."""

    def forward(
        self,
        src: paddle.Tensor,
        src_mask: paddle.Tensor | None = None,
        cache: None = None,
        output_attentions: bool = False,
    ) -> paddle.Tensor:
        return self.read(src[:, :1], src, src_mask)

    def read(self, first: paddle.Tensor, src: paddle.Tensor, src_mask: paddle.Tensor | None) -> paddle.Tensor:
        """The layer's output at the positions whose inputs are `first`, [batch, positions, width].

        Args:
            src: what they attend to, [batch, length, width].
            src_mask: added to the attention's products, broadcast to [batch, heads, positions, length].
        """
        first = self.norm1(first + self.dropout1(self.self_attn(first, src, src, src_mask)))
        transformed = self.linear2(self.dropout(self.activation(self.linear1(first))))
        return self.norm2(first + self.dropout2(transformed))


def read_first_token_only(model: paddle.nn.Layer) -> bool:
    """Let the last layer of the encoder of a sequence classification model compute its first position only.

    Layers of another kind than a post-normalised `TransformerEncoderLayer` are left as they are.

    Returns:
        Whether it does so now.
    """
    encoder = getattr(getattr(model, model.base_model_prefix), "encoder", None)
    layers = getattr(encoder, "layers", None)
    if not layers:
        return False
    if type(layers[-1]) is paddle.nn.TransformerEncoderLayer and not layers[-1].normalize_before:
        layers[-1].__class__ = FirstPositionLayer
    return isinstance(layers[-1], FirstPositionLayer)
