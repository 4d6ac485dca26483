"""What both servers are told of how to compute."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.compute.batching import TOKEN_BUDGET
from pipeline.compute.runtimes import AUTO, DEVICES, PRECISIONS
from pipeline.errors import InputError
from pipeline.options import Options, option

GPU_TOKEN_BUDGET = 16 * TOKEN_BUDGET
MAX_BATCH_SIZE, NATIVE_MAX_BATCH_SIZE = 128, 32
"""A native backend pads all texts of a request to its longest, so that one long text makes each of them dear."""
CPU, GPU = DEVICES


@dataclass(frozen=True)
class ComputeWishes(Options):
    """What is asked of a server; what is `auto` or None is chosen when a bundle is published."""

    device: str = option(
        CPU,
        "what to compute on; gpu: of servers that `make setup DEVICE=gpu` or NVIDIA's container prepared",
        choices=DEVICES,
    )
    devices: str = option("", "which GPUs, such as 0 or 0,1 (0; Triton's own backends: all)")
    precision: str = option(
        AUTO,
        "what to compute in; auto: the fastest that the bundle's release gate passed, float32 without one",
        choices=(AUTO, *PRECISIONS),
    )
    threads: int = option(
        0, "processor threads that compute, in Triton of each instance; 0: one per core", at_least=0, at_most=1024
    )
    token_budget: int | None = option(
        None, f"tokens computed at once ({TOKEN_BUDGET}; Triton on a GPU {GPU_TOKEN_BUDGET})", at_least=1
    )
    max_batch_size: int | None = option(
        None,
        f"texts that one request may hold ({MAX_BATCH_SIZE}; with --backend native {NATIVE_MAX_BATCH_SIZE})",
        at_least=1,
        at_most=65_536,
    )

    def check(self) -> None:
        super().check()
        if self.devices and not all(part.isascii() and part.isdigit() for part in self.devices.split(",")):
            raise InputError(f"--devices is {self.devices!r}; give numbers of GPUs, such as 0 or 0,1")

    @property
    def gpus(self) -> tuple[int, ...]:
        """The GPUs by number; one where none was named."""
        return tuple(map(int, self.devices.split(","))) if self.devices else (0,)

    @property
    def precision_in_words(self) -> str:
        """What is computed in, as far as it can be told here."""
        return self.precision
