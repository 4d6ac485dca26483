"""What both servers are told of how to compute."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.compute.batching import TOKEN_BUDGET
from pipeline.compute.runtimes import AUTO, DEVICES, PRECISIONS
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
        "what to compute on; gpu: Triton with --backend native, Paddle Serving with paddle-serving-server-gpu",
        choices=DEVICES,
    )
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

    @property
    def precision_in_words(self) -> str:
        """What is computed in, as far as it can be told here."""
        return self.precision
