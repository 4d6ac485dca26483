"""Runtimes: engines that run a bundle's graph, behind one small interface."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Callable, Protocol

import numpy as np

from pipeline.errors import EnvironmentFault, InputError
from pipeline.files.bundle import Bundle
from pipeline.option_values import AUTO

PRECISIONS = ("float32", "bfloat16", "float16", "int8")
DEVICES = ("cpu", "gpu")
"""What servers are told of."""
COMPUTED_ON = (*DEVICES, "tensorrt")
"""The last is a GPU, too, in another way."""
PADDLE = "paddle"
_MODULES = {
    "onnxruntime": "pipeline.compute.runtimes.onnx_runtime",
    "openvino": "pipeline.compute.runtimes.openvino_runtime",
    PADDLE: "pipeline.compute.runtimes.paddle_runtime",
}
"""Each module has GRAPH_FILES, the bundle's files by precision it computes; PACKED_GRAPH_FILES; `fault`; and `load`."""
RUNTIMES = tuple(name for name in _MODULES if name != PADDLE)
"""What Triton serves with, and what is chosen of itself; PADDLE is what Paddle Serving computes with."""


class Runtime(Protocol):
    """A loaded graph.

    Attributes:
        run_packed: as `run`, of the inputs of a `pipeline.compute.packing.PackedBatch`; None where only `run` is there.
    """

    run_packed: Callable[[dict[str, np.ndarray]], np.ndarray] | None

    def run(self, input_ids: np.ndarray, token_type_ids: np.ndarray) -> np.ndarray:
        """Logits, float32 [batch, labels], of int64 [batch, length] twice."""


def precisions_of(runtime: str) -> tuple[str, ...]:
    """The precisions that a runtime computes in, float32 first, whether or not this machine can; raises InputError."""
    return tuple(_module(runtime).GRAPH_FILES)


def resolve(bundle: Bundle, runtime: str, precision: str, device: str = "cpu") -> tuple[str, str]:
    """Runtime and precision where either may be AUTO, which is what is found best.

    The fastest that the bundle's release gate passed and that this machine can run, among those that fit the one that
    is given. Of a bundle that went through no gate, float32 comes first, in onnxruntime.

    Raises:
        InputError: an unknown runtime or precision.
    """
    _check_choice("runtime", runtime, (*_MODULES, AUTO))
    _check_choice("precision", precision, (*PRECISIONS, AUTO))
    released = [(choice["runtime"], choice["precision"]) for choice in bundle.manifest.gate.get("choices", ())]
    names = (runtime,) if runtime == PADDLE else RUNTIMES
    others = sorted(
        ((name, own) for name in names for own in precisions_of(name)), key=lambda pair: PRECISIONS.index(pair[1])
    )
    # What a newer version released in a runtime that this one does not know is passed over.
    known = [pair for pair in released if pair in others]
    fitting = [pair for pair in (*known, *others) if runtime in (AUTO, pair[0]) and precision in (AUTO, pair[1])]
    available = [pair for pair in fitting if unavailable(*pair, device) is None]
    # Where nothing will do, whoever loads the first of them says why.
    return next(iter([*available, *fitting]), (runtime, precision))


def graph_files(bundle: Bundle, runtime: str, precision: str = "float32") -> tuple[str, ...]:
    """The bundle's files that `pipeline.compute.engine` reads for a precision.

    A bundle may lack those of float16 and int8: `create_runtime` derives them from those of float32.

    Raises:
        InputError: an unknown runtime or precision, or one that the runtime does not compute.
    """
    files = _module(runtime).GRAPH_FILES
    _check_choice("precision", precision, PRECISIONS)
    if precision not in files:
        raise InputError(_lacks_precision(runtime, precision))
    packed = _module(runtime).PACKED_GRAPH_FILES
    return packed if packed and set(packed) <= set(bundle.files) else files[precision]


def unavailable(runtime: str, precision: str = "float32", device: str = "cpu", device_id: int = 0) -> str | None:
    """Why this machine cannot compute so, and what to choose instead; None if it can. No graph is loaded.

    Raises:
        InputError: an unknown runtime, precision or device.
    """
    module = _module(runtime)
    _check_choice("precision", precision, PRECISIONS)
    _check_choice("device", device, COMPUTED_ON)
    return (
        module.fault(precision, device, device_id)
        if precision in module.GRAPH_FILES
        else _lacks_precision(runtime, precision)
    )


def create_runtime(
    bundle: Bundle,
    runtime: str,
    precision: str = "float32",
    threads: int | None = None,
    device: str = "cpu",
    device_id: int = 0,
) -> Runtime:
    """Load a bundle's graph.

    Args:
        bundle: a bundle, or the part of one that holds its `graph_files`, or those of float32.
        runtime: one of RUNTIMES.
        precision: one of PRECISIONS.
        threads: processor threads to compute with; None takes one per core.
        device: one of COMPUTED_ON.
        device_id: which of several GPUs, from 0.

    Raises:
        InputError: an unknown runtime, precision or device, fewer than one thread, or a negative device_id.
        EnvironmentFault: the runtime, or what derives its graph, is not installed, or this machine lacks the
            precision or the device.
        BundleError: the graph does not load, or its inputs or outputs are not the expected ones.
    """
    if threads is not None and threads < 1:
        raise InputError(f"threads is {threads}; give at least 1, or leave it out for one per core")
    if device_id < 0:
        raise InputError(f"device_id is {device_id}; give the number of a GPU, from 0")
    fault = unavailable(runtime, precision, device, device_id)
    if fault:
        raise EnvironmentFault(fault)
    return _module(runtime).load(bundle, precision, threads, device, device_id)


def _module(runtime: str) -> ModuleType:
    _check_choice("runtime", runtime, tuple(_MODULES))
    return import_module(_MODULES[runtime])


def _check_choice(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"unknown {what} {value!r}; choose one of {', '.join(known)}")


def _lacks_precision(runtime: str, precision: str) -> str:
    others = [name for name in RUNTIMES if precision in _module(name).GRAPH_FILES]
    own = ", ".join(_module(runtime).GRAPH_FILES)
    return f"{runtime} does not compute {precision} here; choose one of {own}, or runtime {' or '.join(others)}"
