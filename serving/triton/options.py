"""How a bundle is served."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from pipeline.compute.batching import TOKEN_BUDGET
from pipeline.compute.padded_lengths import CPU_LENGTHS, GPU_LENGTHS, lengths_up_to
from pipeline.compute.runtimes import DEVICES, PRECISIONS, RUNTIMES
from pipeline.errors import InputError

PYTHON, NATIVE = "python", "native"
BACKENDS = (PYTHON, NATIVE)
CPU, GPU = DEVICES
NATIVE_PRECISIONS = {
    ("onnxruntime", CPU): ("float32", "int8"),
    ("onnxruntime", GPU): ("float32", "float16"),
    ("openvino", CPU): ("float32", "bfloat16"),
}
"""What Triton's own backends compute, by runtime and device. openvino takes bfloat16 wherever the processor has it."""


@dataclass(frozen=True)
class ServingOptions:
    """How a bundle is served.

    Attributes:
        runtime: one of `pipeline.compute.runtimes.RUNTIMES`.
        precision: one of `pipeline.compute.runtimes.PRECISIONS`.
        threads: processor threads of each instance of the model; 0 takes one per core.
        instances: copies of the model that compute at the same time.
        token_budget: tokens, padding included, that one run of the model takes at most.
        max_batch_size: texts that one request may hold, and that Triton joins to one batch.
        queue_milliseconds: how long texts may have to wait for the model, by the speed that is measured when it is
            published.
        queue_size: texts that may be under way; a request that finds so many is refused at once. 0: the batch that is
            computed, and what is computed in that time or half a batch, whichever is more.
        backend: python, where a Python process of the server runs the runtime, or native, where Triton's own backend
            for it does, which NVIDIA's container has.
        device: one of `pipeline.compute.runtimes.DEVICES`; gpu needs the native backend.
        tensorrt: let onnxruntime compute with TensorRT on the GPU, which builds its engine when the model is loaded.
        engine_cache: folder of the server in which TensorRT keeps engines; empty: they are built at each load.
        padded_lengths: the tokeniser pads to the first of these that holds a request's longest text; none: to that
            text. With the native backend `fitted` chooses them.

    Raises:
        InputError: a value outside those.
    """

    runtime: str = "onnxruntime"
    precision: str = "float32"
    threads: int = 0
    instances: int = 1
    token_budget: int = TOKEN_BUDGET
    max_batch_size: int = 128
    queue_milliseconds: int = 300
    queue_size: int = 0
    backend: str = PYTHON
    device: str = CPU
    tensorrt: bool = False
    engine_cache: str = ""
    padded_lengths: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        choices = {"runtime": RUNTIMES, "precision": PRECISIONS, "backend": BACKENDS, "device": DEVICES}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise InputError(f"unknown {name} {getattr(self, name)!r}; choose one of {', '.join(known)}")
        self._check_engine()
        lengths_up_to(1, self.padded_lengths)
        if self.threads < 0:
            raise InputError(f"threads is {self.threads}; give 0 for one per core, or a count")
        if self.queue_size < 0:
            raise InputError(f"queue_size is {self.queue_size}; give 0 to let it be chosen, or a count")
        for name in ("instances", "token_budget", "max_batch_size", "queue_milliseconds"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; give at least 1")

    def _check_engine(self) -> None:
        if self.backend == PYTHON and self.device == GPU:
            raise InputError("device gpu needs backend native: the Python backend computes on the CPU here")
        precisions = NATIVE_PRECISIONS.get((self.runtime, self.device), ())
        if self.backend == NATIVE and self.precision not in precisions:
            known = (
                f"{runtime} on {device} ({' or '.join(each)})" for (runtime, device), each in NATIVE_PRECISIONS.items()
            )
            raise InputError(
                f"no native {self.runtime} computes {self.precision} on {self.device}; choose among {', '.join(known)}"
            )
        if self.tensorrt and self.device != GPU:
            raise InputError("tensorrt needs device gpu")
        if self.engine_cache and not (self.tensorrt and self.engine_cache.startswith("/")):
            raise InputError(f"engine_cache {self.engine_cache!r}: give an absolute path, and tensorrt along with it")

    @property
    def engine(self) -> str:
        """What computes, in words."""
        native = f"native {self.runtime}" if self.backend == NATIVE else self.runtime
        return native + " on gpu" * (self.device == GPU) + " with TensorRT" * self.tensorrt

    @property
    def graph_precision(self) -> str:
        """The precision of the graph that is published; TensorRT and OpenVINO lower that of float32 themselves."""
        return "float32" if self.tensorrt or self.runtime == "openvino" else self.precision

    @property
    def model_processes(self) -> int:
        """Python processes of the server that run the model."""
        return self.instances if self.backend == PYTHON else 0

    def fitted(self, max_seq_length: int) -> ServingOptions:
        """These options with the padded lengths that a model of that maximum length is to get."""
        lengths = self.padded_lengths
        if self.backend == NATIVE and not lengths:
            lengths = GPU_LENGTHS if self.device == GPU else CPU_LENGTHS
        return replace(self, padded_lengths=lengths_up_to(max_seq_length, lengths)) if lengths else self

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> ServingOptions:
        return cls(**{**fields, "padded_lengths": tuple(fields.get("padded_lengths", ()))})
