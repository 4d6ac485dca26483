"""Runtimes: engines that run a bundle's graph, behind one small interface."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol

import numpy as np

from pipeline.bundle import Bundle
from pipeline.errors import InputError

PRECISIONS = ("float32", "bfloat16")
_MODULES = {
    "onnxruntime": "pipeline.runtimes.onnx_runtime",
    "openvino": "pipeline.runtimes.openvino_runtime",
}
RUNTIMES = tuple(_MODULES)


class Runtime(Protocol):
    """A loaded graph."""

    def run(self, input_ids: np.ndarray, token_type_ids: np.ndarray) -> np.ndarray:
        """Logits, float32 [batch, labels], of int64 [batch, length] twice."""


def graph_files(runtime: str) -> tuple[str, ...]:
    """The bundle's files that a runtime reads.

    Raises:
        InputError: an unknown runtime.
    """
    return import_module(_module(runtime)).GRAPH_FILES


def create_runtime(bundle: Bundle, runtime: str, precision: str = "float32", threads: int | None = None) -> Runtime:
    """Load a bundle's graph.

    Args:
        bundle: a bundle, or the part of one that holds `graph_files(runtime)`.
        runtime: one of RUNTIMES.
        precision: one of PRECISIONS.
        threads: processor threads to compute with; None takes one per core.

    Raises:
        InputError: an unknown runtime or precision, or fewer than one thread.
        EnvironmentFault: the runtime is not installed, or this machine lacks the precision.
        BundleError: the graph does not load, or its inputs or outputs are not the expected ones.
    """
    if precision not in PRECISIONS:
        raise InputError(f"unknown precision {precision!r}; choose one of {', '.join(PRECISIONS)}")
    if threads is not None and threads < 1:
        raise InputError(f"threads is {threads}; give at least 1, or leave it out for one per core")
    return import_module(_module(runtime)).load(bundle, precision, threads)


def _module(runtime: str) -> str:
    if runtime not in _MODULES:
        raise InputError(f"unknown runtime {runtime!r}; choose one of {', '.join(RUNTIMES)}")
    return _MODULES[runtime]
