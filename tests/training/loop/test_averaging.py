import numpy as np
import paddle
import pytest

from training.loop.averaging import WeightAverage


def test_the_average_is_its_formula_and_leaves_training_alone():
    model = paddle.nn.Linear(2, 1)
    average = WeightAverage(model, 0.8)
    values = [np.full((2, 1), value, np.float32) for value in (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)]
    expected = values[0]
    for step, value in enumerate(values, start=1):
        model.weight.set_value(value)
        average.update()
        share = max(0.2, 1 / step)
        expected = (1 - share) * expected + share * value
    with average.applied():
        assert model.weight.numpy() == pytest.approx(expected)
    assert model.weight.numpy() == pytest.approx(values[-1])


def test_the_model_gets_its_parameters_back_when_the_block_fails():
    model = paddle.nn.Linear(2, 1)
    average = WeightAverage(model, 0.8)
    model.weight.set_value(np.ones((2, 1), np.float32))
    with pytest.raises(ValueError), average.applied():
        raise ValueError
    assert model.weight.numpy().tolist() == [[1.0], [1.0]]
