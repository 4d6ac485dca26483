"""Cheaper gradients of Linear and LayerNorm on a CPU.

Paddle's CPU kernels sum a gradient over the rows one element at a time, for the bias of a linear layer and in the
backward pass of a layer norm; both take longer than the matrix products beside them. Here the same sums are matrix
products with a vector of ones, which run at the processor's full speed. Values are those of the plain layers up to
rounding.
"""

from __future__ import annotations

from typing import Any

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


def use_cpu_gradients(model: paddle.nn.Layer) -> None:
    """Let the Linear and LayerNorm layers of `model` compute their gradients in this way from now on."""
    for layer in model.sublayers():
        if type(layer) is paddle.nn.Linear and layer.bias is not None:
            layer.__class__ = _Linear
        elif type(layer) is paddle.nn.LayerNorm:
            layer.__class__ = _Norm
