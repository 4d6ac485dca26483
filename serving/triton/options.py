"""How Triton serves a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline.compute.batching import TOKEN_BUDGET
from pipeline.compute.padded_lengths import CPU_LENGTHS, GPU_LENGTHS, lengths_up_to
from pipeline.compute.runtimes import AUTO, PRECISIONS, RUNTIMES
from pipeline.errors import InputError
from pipeline.options import option
from serving.options import CPU, GPU, MAX_BATCH_SIZE, ComputeWishes
from serving.triton.backend.counts import MOST_INSTANCES

PYTHON, NATIVE = "python", "native"
BACKENDS = (PYTHON, NATIVE)
NATIVE_PRECISIONS = {
    ("onnxruntime", CPU): ("float32", "int8"),
    ("onnxruntime", GPU): ("float32", "float16"),
    ("openvino", CPU): ("float32", "bfloat16"),
}
"""What Triton's own backends compute, by runtime and device, and on a GPU the Python backend, too.

openvino takes bfloat16 wherever the processor has it.
"""


@dataclass(frozen=True)
class TritonWishes(ComputeWishes):
    """What is asked of Triton; the runtime may be `auto` too, and `serving_options` decides.

    Raises:
        InputError: as `Options`, or what is asked contradicts itself.
    """

    runtime: str = option(
        AUTO,
        "Triton: what computes; auto: what the release gate chose, onnxruntime without one",
        choices=(AUTO, *RUNTIMES),
    )
    backend: str = option(
        PYTHON,
        "Triton: python: a Python process of the server runs the runtime; native: Triton's own backend for it, which "
        "NVIDIA's container has",
        choices=BACKENDS,
    )
    tensorrt: bool = option(False, "Triton: on the GPU with TensorRT, in float16 unless --precision says otherwise")
    engine_cache: str = option("", "Triton: where TensorRT keeps what it built, in the server", metavar="FOLDER")
    padded_lengths: tuple[int, ...] = option(
        (), "Triton: lengths that the tokeniser pads to (none; chosen for a native backend)", metavar="TOKENS"
    )
    instances: int = option(
        1, "Triton: copies of the model that compute at the same time", at_least=1, at_most=MOST_INSTANCES
    )
    queue_milliseconds: int = option(
        800,
        "Triton: milliseconds that a text may wait; more texts than are answered meanwhile are refused",
        at_least=1,
        at_most=3_600_000,
    )
    queue_size: int = option(
        0,
        "Triton: texts that may be under way, a request that finds so many is refused; 0: what the server answers in "
        "--queue_milliseconds, as it sees by itself",
        at_least=0,
        at_most=10_000_000,
    )

    def check(self) -> None:
        ComputeWishes.check(self)
        lengths_up_to(1, self.padded_lengths)
        if (self.backend == NATIVE or self.device == GPU) and not self._has_native():
            known = (
                f"{name} on {device} ({' or '.join(each)})"
                for (name, device), each in NATIVE_PRECISIONS.items()
                if self.backend == NATIVE or device == GPU
            )
            raise InputError(
                f"no {'native ' * (self.backend == NATIVE)}{self.runtime} computes {self.precision} on {self.device}; "
                f"choose among {', '.join(known)}"
            )
        if self.tensorrt and self.device != GPU:
            raise InputError("--tensorrt needs --device gpu")
        if self.engine_cache and self.backend == PYTHON:
            raise InputError("--engine_cache needs --backend native")
        if self.engine_cache and not (self.tensorrt and self.engine_cache.startswith("/")):
            raise InputError(f"--engine_cache is {self.engine_cache!r}; give an absolute path, and --tensorrt with it")

    def _has_native(self) -> bool:
        return any(
            self.runtime in (AUTO, runtime) and self.device == device and self.precision in (AUTO, *precisions)
            for (runtime, device), precisions in NATIVE_PRECISIONS.items()
        )


@dataclass(frozen=True)
class ServingOptions(TritonWishes):
    """How a bundle is served: nothing is left to choose, but for what depends on the model (`fitted`)."""

    runtime: str = option("onnxruntime", choices=RUNTIMES)
    precision: str = option("float32", choices=PRECISIONS)
    token_budget: int = option(TOKEN_BUDGET, at_least=1)
    max_batch_size: int = option(MAX_BATCH_SIZE, at_least=1)

    @property
    def engine(self) -> str:
        """What computes, in words."""
        native = f"native {self.runtime}" if self.backend == NATIVE else self.runtime
        return native + " on gpu" * (self.device == GPU) + " with TensorRT" * self.tensorrt

    @property
    def precision_in_words(self) -> str:
        """No parameter makes Triton's openvino backend compute in float32 where the processor has bfloat16."""
        if self.backend == NATIVE and self.runtime == "openvino":
            return "bfloat16 where the processor has it, else float32"
        return self.precision

    @property
    def graph_precision(self) -> str:
        """The precision of the graph that is published; TensorRT and OpenVINO lower that of float32 themselves."""
        return "float32" if self.tensorrt or self.runtime == "openvino" else self.precision

    @property
    def model_processes(self) -> int:
        """Python processes of the server that run the model; on GPUs so many on each."""
        if self.backend != PYTHON:
            return 0
        return self.instances * (len(self.gpus) if self.device == GPU else 1)

    def fitted(self, most_tokens: int) -> ServingOptions:
        """These options with the padded lengths of a model that is given so many tokens of a text at most."""
        lengths = self.padded_lengths
        if self.backend == NATIVE and not lengths:
            lengths = GPU_LENGTHS if self.device == GPU else CPU_LENGTHS
        return replace(self, padded_lengths=lengths_up_to(most_tokens, lengths)) if lengths else self


def beside_each_other(options: Sequence[ServingOptions]) -> ServingOptions:
    """How the components are configured while versions with these options are loaded: as the last, and large enough.

    Triton takes an ensemble out of service whose steps allow smaller batches than it does, and the supervisor misses
    the processes that the live version is to have.
    """
    largest = {name: max(getattr(each, name) for each in options) for name in ("max_batch_size", "instances")}
    return replace(options[-1], **largest)
