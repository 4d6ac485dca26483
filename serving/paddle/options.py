"""How Paddle Serving serves a bundle."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.compute.batching import TOKEN_BUDGET
from pipeline.compute.runtimes import AUTO, PADDLE
from pipeline.errors import InputError
from pipeline.options import option
from serving.options import GPU, MAX_BATCH_SIZE, ComputeWishes

PRECISIONS = {"float32": "fp32", "bfloat16": "bf16"}
"""What it computes in, by the names that upstream has for them."""


@dataclass(frozen=True)
class PaddleWishes(ComputeWishes):
    """What is asked of Paddle Serving; `paddle_options` decides on what is left open.

    Raises:
        InputError: as `Options`, or Paddle Serving cannot do what is asked.
    """

    workers: int = option(
        32,
        "Paddle Serving: requests served at the same time by each process; one more is refused",
        at_least=1,
        at_most=4096,
    )
    processes: int = option(
        0,
        "Paddle Serving: processes with a model of their own, which share --threads; 0: threads of one process",
        at_least=0,
        at_most=256,
    )
    batch_requests: int = option(32, "Paddle Serving: requests computed together at most", at_least=1, at_most=65_536)
    request_bytes: int = option(4 << 20, "Paddle Serving: bytes that a request may have", at_least=1, at_most=1 << 31)
    request_seconds: int = option(
        10,
        "Paddle Serving: seconds that a request may take to arrive, and may wait for the model",
        at_least=1,
        at_most=86_400,
    )

    def check(self) -> None:
        ComputeWishes.check(self)
        if self.precision not in (AUTO, *PRECISIONS):
            raise InputError(f"Paddle Serving computes no {self.precision}; choose {' or '.join(PRECISIONS)}")
        if self.device == GPU and self.precision not in (AUTO, "float32"):
            raise InputError(f"Paddle Serving computes {self.precision} on the CPU alone; choose float32 for the GPU")
        if self.device == GPU and self.processes < len(self.gpus) > 1:
            raise InputError(
                f"Paddle Serving computes on one GPU in each process: give --processes {len(self.gpus)} or more with "
                f"--devices {self.devices}"
            )


@dataclass(frozen=True)
class PaddleOptions(PaddleWishes):
    """How a bundle is served: nothing is left to choose."""

    precision: str = option("float32", choices=tuple(PRECISIONS))
    token_budget: int = option(TOKEN_BUDGET, at_least=1)
    max_batch_size: int = option(MAX_BATCH_SIZE, at_least=1)

    @property
    def engine(self) -> str:
        """What computes, in words."""
        return PADDLE + " on gpu" * (self.device == GPU)
