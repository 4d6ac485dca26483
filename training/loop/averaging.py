"""How a model's parameters move: the optimiser, and their running average over the training steps.

The average of the last steps' parameters lies nearer the middle of the valley that they wander about in, and answers
better than any of them (Polyak and Juditsky 1992; as an exponential average Tarvainen and Valpola 2017).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Callable

import numpy as np
import paddle

from training.loop.options import LoopOptions
from training.model.encoders import slow_lower_layers

MAX_GRADIENT_NORM = 1.0
"""Of the encoder and of the classifier, each by itself: paddle clips a group of parameters at a time."""


def create_optimizer(model: paddle.nn.Layer, options: LoopOptions, schedule: Any) -> paddle.optimizer.Optimizer:
    """AdamW for the parameters of `model` that learn, its rates those of `options` times the schedule's shape."""
    trained: dict[bool, list[Any]] = {False: [], True: []}  # by whether it belongs to the head
    for name, parameter in model.named_parameters():
        if not parameter.stop_gradient:
            trained[name.startswith("classifier.")].append(parameter)
    ratio = (options.head_learning_rate or options.learning_rate) / options.learning_rate
    decayed = {
        parameter.name
        for name, parameter in model.named_parameters()
        if not name.endswith("bias") and "norm" not in name
    }
    optimizer = paddle.optimizer.AdamW(
        learning_rate=schedule,
        parameters=[{"params": trained[False]}, {"params": trained[True], "learning_rate": ratio}],
        weight_decay=options.weight_decay,
        apply_decay_param_fun=decayed.__contains__,
        grad_clip=paddle.nn.ClipGradByGlobalNorm(MAX_GRADIENT_NORM),
    )
    if options.layer_decay:
        slow_lower_layers(model, options.layer_decay)
    return optimizer


class WeightAverage:
    """The exponential average of a model's trained parameters.

    Args:
        model: what is trained; the average starts at its present parameters.
        decay: share of the average that each update keeps, in (0, 1).
    """

    def __init__(self, model: paddle.nn.Layer, decay: float) -> None:
        self.decay = decay
        self._parameters = {name: p for name, p in model.named_parameters() if not p.stop_gradient}
        self._averages = {name: p.detach().clone() for name, p in self._parameters.items()}
        self.updates = 0

    @paddle.no_grad()
    def update(self) -> None:
        """Take the model's present parameters in; the first updates count for more, so that the start is forgotten."""
        self.updates += 1
        share = max(1 - self.decay, 1 / self.updates)
        for name, parameter in self._parameters.items():
            average = self._averages[name]
            average.scale_(1 - share)
            average.add_(parameter * share)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block the model has the average for its parameters."""
        kept = {name: parameter.detach().clone() for name, parameter in self._parameters.items()}
        self._set(self._averages)
        try:
            yield
        finally:
            self._set(kept)

    def _set(self, values: dict[str, paddle.Tensor]) -> None:
        for name, parameter in self._parameters.items():
            parameter.set_value(values[name])

    def tensors(self) -> dict[str, np.ndarray]:
        """The averages, for `restore`."""
        return {name: average.numpy() for name, average in self._averages.items()}

    def restore(self, tensor: Callable[[str], np.ndarray], updates: int) -> None:
        """Go on from what `tensors` gave, by name, after so many updates."""
        for name, average in self._averages.items():
            average.set_value(tensor(name))
        self.updates = updates
