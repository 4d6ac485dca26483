import paddle
import pytest
from paddle.autograd import PyLayer

from training.model.cpu_gradients import backward


class _Raises(PyLayer):
    @staticmethod
    def forward(context, x, error):
        context.error = error
        return x * 2

    @staticmethod
    def backward(context, gradient):
        raise context.error


@pytest.mark.parametrize(("error", "seen"), [(KeyboardInterrupt(), KeyboardInterrupt), (ValueError("odd"), OSError)])
def test_an_interrupt_within_a_backward_pass_stays_one(error, seen):
    x = paddle.ones([2])
    x.stop_gradient = False
    with pytest.raises(seen):
        backward(_Raises.apply(x, error).sum())
