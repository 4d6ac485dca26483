"""Cheaper layers for training on a CPU.

Paddle's CPU kernels sum a gradient over the rows one element at a time, for the bias of a linear layer and in the
backward pass of a layer norm; both take longer than the matrix products beside them. Here the same sums are matrix
products with a vector of ones, which run at the processor's full speed. Values are those of the plain layers up to
rounding.

Its dropout draws each element by a Mersenne Twister and a division, a tenth of a step. Here 16 random bits decide, so
that its rate is a multiple of 1/65536.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle
from paddle.autograd import PyLayer
from paddle.nn import functional


def backward(loss: paddle.Tensor) -> None:
    """`loss.backward()`, but Ctrl-C stays what it is: paddle makes an OSError of what a PyLayer's backward raises."""
    try:
        loss.backward()
    except OSError as error:
        if "KeyboardInterrupt" in str(error):
            raise KeyboardInterrupt from None
        raise


class _AddBias(PyLayer):
    """`x + bias` for x [..., width] and bias [width]."""

    @staticmethod
    def forward(context: Any, x: paddle.Tensor, bias: paddle.Tensor) -> paddle.Tensor:
        context.is_frozen = bias.stop_gradient
        return x + bias

    @staticmethod
    def backward(context: Any, gradient: paddle.Tensor) -> tuple[paddle.Tensor, paddle.Tensor | None]:
        return gradient, None if context.is_frozen else _sum_rows(gradient.reshape([-1, gradient.shape[-1]]))


class _LayerNorm(PyLayer):
    """Layer normalisation of x [..., width] (Ba et al. 2016), with its gradient written as products."""

    @staticmethod
    def forward(
        context: Any, x: paddle.Tensor, weight: paddle.Tensor, bias: paddle.Tensor, epsilon: float
    ) -> paddle.Tensor:
        context.save_for_backward(x, weight)
        context.epsilon = epsilon
        return functional.layer_norm(x, x.shape[-1:], weight, bias, epsilon)

    @staticmethod
    def backward(context: Any, gradient: paddle.Tensor) -> tuple[paddle.Tensor, paddle.Tensor, paddle.Tensor]:
        x, weight = context.saved_tensor()
        shape, width = x.shape, x.shape[-1]
        x, gradient = x.reshape([-1, width]), gradient.reshape([-1, width])
        normalised = functional.layer_norm(x, width, None, None, context.epsilon)
        mean = paddle.full([width, 1], 1 / width)
        centre = paddle.matmul(x, mean)
        inverse_deviation = paddle.rsqrt(paddle.matmul(x * x, mean) - centre * centre + context.epsilon)
        scaled = gradient * normalised
        # d x = (g w - mean(g w) - x^ mean(g w x^)) / deviation, with x^ the normalised x and g the gradient
        weighted_mean = weight.reshape([width, 1]) / width
        along_ones, along_x = (paddle.matmul(values, weighted_mean) for values in (gradient, scaled))
        gradient_x = (gradient * weight - along_ones - normalised * along_x) * inverse_deviation
        return gradient_x.reshape(shape), _sum_rows(scaled), _sum_rows(gradient)


def _sum_rows(values: paddle.Tensor) -> paddle.Tensor:
    """[width] from [rows, width]."""
    return paddle.matmul(paddle.ones([1, values.shape[0]]), values).reshape([-1])


class _Linear(paddle.nn.Linear):
    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        return _AddBias.apply(paddle.matmul(input, self.weight), self.bias)


class _Norm(paddle.nn.LayerNorm):
    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        return _LayerNorm.apply(input, self.weight, self.bias, self._epsilon)


class _Dropout(paddle.nn.Dropout):
    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        return dropped(input, self.p) if self.training else input


class _Attention(paddle.nn.MultiHeadAttention):
    def forward(self, query: Any, key: Any = None, value: Any = None, attn_mask: Any = None, cache: Any = None) -> Any:
        if cache is not None or self.need_weights:
            return super().forward(query, key, value, attn_mask, cache)
        key = query if key is None else key
        heads, keys, values = self._prepare_qkv(query, key, key if value is None else value)
        scores = paddle.matmul(heads * self.head_dim**-0.5, keys, transpose_y=True)
        if attn_mask is not None:
            scores = scores + attn_mask
        weights = functional.softmax(scores)
        mixed = paddle.matmul(dropped(weights, self.dropout) if self.training else weights, values)
        return self.out_proj(mixed.transpose([0, 2, 1, 3]).flatten(2))


def dropped(x: paddle.Tensor, rate: float) -> paddle.Tensor:
    """`x` with each element set to zero with probability `rate`, the others divided by 1 - rate.

    Dropout by Srivastava et al. 2014. The random numbers follow from paddle's seed.
    """
    least = round(rate * (1 << 16))
    if not least:
        return x
    count = int(np.prod(x.shape))
    random = np.random.SFC64(paddle.randint((1 << 31) - 1, shape=[2]).numpy())
    kept = random.random_raw(-(-count // 4)).view(np.uint16)[:count] >= least
    scale = np.float32((1 << 16) / ((1 << 16) - least))
    return x * paddle.to_tensor((kept * scale).reshape(x.shape))


CHEAPER = {
    paddle.nn.LayerNorm: _Norm,
    paddle.nn.Dropout: _Dropout,
    paddle.nn.MultiHeadAttention: _Attention,
}


def use_cpu_gradients(model: paddle.nn.Layer) -> None:
    """Let the layers of `model` that have a cheaper way compute in it from now on.

    The dropout before the classifier stays: it costs nothing, and what is trained without any other is as it was.
    """
    for name, layer in model.named_sublayers():
        if type(layer) is paddle.nn.Linear and layer.bias is not None:
            layer.__class__ = _Linear
        elif name != "dropout":
            layer.__class__ = CHEAPER.get(type(layer), type(layer))
