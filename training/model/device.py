"""The device that paddle computes on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import paddle

from pipeline.compute import gpu
from pipeline.errors import EnvironmentFault
from pipeline.option_values import AUTO
from training.model.cpu_speed import speed_up_cpu
from training.model.model_names import CPU, GPU


def use_device(name: str) -> None:
    """Make paddle compute on `name`, one of DEVICES; `auto` is a GPU if there is one, else the CPU.

    Where the installed paddle is one for GPUs and cannot use this machine's, `auto` says why on standard error.

    Raises:
        EnvironmentFault: the installed paddle or this machine lacks the device.
    """
    if name == AUTO:
        name = _found()
    if name == GPU and _for_gpus() and (why := gpu.fault(gpu.PADDLE, _number())):
        raise EnvironmentFault(f"--device {GPU} cannot be had: {why}")
    try:
        paddle.set_device(name)
        paddle.zeros([1])
        if name == CPU:
            speed_up_cpu()
    except (ValueError, RuntimeError, OSError) as error:
        if name == GPU and _for_gpus() and (why := gpu.full_card(error, _number())):
            raise EnvironmentFault(why) from error
        raise EnvironmentFault(
            f"--device {name} is not available with the installed paddle {paddle.__version__}; use --device cpu, or "
            + (
                f"`{gpu.SET_UP}`, which installs one for GPUs"
                if name == GPU
                else f"install the paddle that supports {name}"
            )
        ) from error


@contextmanager
def full_card_told() -> Iterator[None]:
    """Computing within it, on a GPU without room, raises EnvironmentFault, which tells what is used and what to do."""
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        on_gpu = paddle.get_device().startswith(GPU)
        if on_gpu and (why := gpu.full_card(error, _number())):
            raise EnvironmentFault(why) from error
        raise


def _found() -> str:
    if not _for_gpus():
        return CPU
    if why := gpu.fault(gpu.PADDLE, _number()):
        print(f"note: computing on the CPU: {why}", file=sys.stderr)
        return CPU
    return GPU


def _for_gpus() -> bool:
    return paddle.device.is_compiled_with_cuda()


def _number() -> int:
    """The GPU of this process: a launcher of several gives each its own."""
    return paddle.distributed.ParallelEnv().device_id
