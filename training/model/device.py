"""The device that paddle computes on."""

from __future__ import annotations

import paddle

from pipeline.errors import EnvironmentFault
from pipeline.option_values import AUTO
from training.model.cpu_speed import speed_up_cpu
from training.model.model_names import CPU


def use_device(name: str) -> None:
    """Make paddle compute on `name`, one of DEVICES; `auto` is a GPU if there is one, else the CPU.

    Raises:
        EnvironmentFault: the installed paddle or this machine lacks the device.
    """
    if name == AUTO:
        name = "gpu" if paddle.device.is_compiled_with_cuda() and paddle.device.cuda.device_count() else CPU
    try:
        paddle.set_device(name)
        paddle.zeros([1])
        if name == CPU:
            speed_up_cpu()
    except (ValueError, RuntimeError, OSError) as error:
        raise EnvironmentFault(
            f"--device {name} is not available with the installed paddle {paddle.__version__}; use --device cpu, "
            f"or install the paddle that supports {name}"
        ) from error
