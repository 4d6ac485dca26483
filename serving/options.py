"""How a bundle is served."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.batching import TOKEN_BUDGET
from pipeline.errors import InputError
from pipeline.runtimes import PRECISIONS, RUNTIMES


@dataclass(frozen=True)
class ServingOptions:
    """How a bundle is served.

    Attributes:
        runtime: one of `pipeline.runtimes.RUNTIMES`.
        precision: one of `pipeline.runtimes.PRECISIONS`.
        threads: processor threads of each instance of the model; 0 takes one per core.
        instances: copies of the model that compute at the same time.
        token_budget: tokens, padding included, that one run of the model takes at most.
        max_batch_size: texts that one request may hold, and that Triton joins to one batch.
        queue_milliseconds: how long a request may wait for the model before it is refused.
        queue_size: requests that may wait for the model; one more is refused at once. 0: as many as are computed in
            that time, when it is published.

    Raises:
        InputError: a value outside those.
    """

    runtime: str = "onnxruntime"
    precision: str = "float32"
    threads: int = 0
    instances: int = 1
    token_budget: int = TOKEN_BUDGET
    max_batch_size: int = 128
    queue_milliseconds: int = 1000
    queue_size: int = 0

    def __post_init__(self) -> None:
        for name, value, known in (("runtime", self.runtime, RUNTIMES), ("precision", self.precision, PRECISIONS)):
            if value not in known:
                raise InputError(f"unknown {name} {value!r}; choose one of {', '.join(known)}")
        if self.threads < 0:
            raise InputError(f"threads is {self.threads}; give 0 for one per core, or a count")
        if self.queue_size < 0:
            raise InputError(f"queue_size is {self.queue_size}; give 0 to let it be chosen, or a count")
        for name in ("instances", "token_budget", "max_batch_size", "queue_milliseconds"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; give at least 1")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> ServingOptions:
        return cls(**fields)
