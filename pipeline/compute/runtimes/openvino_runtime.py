"""OpenVINO on the CPU, reading the Paddle graph directly: it builds a better graph from it than from the ONNX file."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from functools import cached_property
from typing import Any, Callable

import numpy as np

from pipeline.compute.runtimes.graph_check import PACKED_INPUTS, PLAIN_INPUTS, check_tensor_names
from pipeline.errors import BundleError
from pipeline.files.bundle import PACKED_GRAPH_FILE, PADDLE_GRAPH_FILE, PADDLE_PARAMETERS_FILE, Bundle
from pipeline.tensors import INPUT_IDS, LOGITS, TOKEN_TYPE_IDS

ELEMENT_TYPES = {"float32": "f32", "bfloat16": "bf16"}
GRAPH_FILES = {precision: (PADDLE_GRAPH_FILE, PADDLE_PARAMETERS_FILE) for precision in ELEMENT_TYPES}
PACKED_GRAPH_FILES = (PACKED_GRAPH_FILE, PADDLE_PARAMETERS_FILE)


def openvino() -> Any:
    """The library; raises ImportError where it is not installed.

    Left to itself, its import forks the process to send a message to its makers.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # as if that were not installed
    return importlib.import_module("openvino")


class OpenVinoRuntime:
    """A compiled model over a bundle's Paddle graph; see `pipeline.compute.runtimes.Runtime`."""

    def __init__(self, bundle: Bundle, precision: str, threads: int | None) -> None:
        self._bundle = bundle
        self._options = {"INFERENCE_PRECISION_HINT": ELEMENT_TYPES[precision], "PERFORMANCE_HINT": "LATENCY"}
        if threads:
            self._options["INFERENCE_NUM_THREADS"] = str(threads)
        self.run_packed: Callable[[dict[str, np.ndarray]], np.ndarray] | None = None
        if PACKED_GRAPH_FILE in bundle.files:
            packed = self._compile(PACKED_GRAPH_FILE, PACKED_INPUTS)
            self.run_packed = lambda inputs: packed(inputs)[LOGITS]
        else:
            self._plain  # noqa: B018 - so that a graph that does not load is known now

    def run(self, input_ids: np.ndarray, token_type_ids: np.ndarray) -> np.ndarray:
        return self._plain({INPUT_IDS: input_ids, TOKEN_TYPE_IDS: token_type_ids})[LOGITS]

    @cached_property
    def _plain(self) -> Any:
        return self._compile(PADDLE_GRAPH_FILE, PLAIN_INPUTS)

    def _compile(self, graph: str, inputs: Iterable[str]) -> Any:
        core = openvino().Core()
        path = self._bundle.file(graph)
        try:
            model = core.read_model(path, self._bundle.file(PADDLE_PARAMETERS_FILE))
            found, given = ([tensor.get_any_name() for tensor in side] for side in (model.inputs, model.outputs))
            check_tensor_names(path, found, given, inputs)
            return core.compile_model(model, "CPU", self._options)
        except RuntimeError as error:
            raise BundleError(f"{path} does not load in openvino: {error}") from error


def fault(precision: str, device: str, device_id: int = 0) -> str | None:
    """See `pipeline.compute.runtimes.unavailable`."""
    try:
        library = openvino()
    except ImportError:
        return "openvino is not installed; install it or choose runtime onnxruntime"
    if device != "cpu":
        return "openvino computes on the CPU alone here; choose runtime onnxruntime for the GPU, or device cpu"
    capabilities = library.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if precision == "bfloat16" and "BF16" not in capabilities:
        return "this processor has no bfloat16 instructions; choose precision float32"
    return None


def load(bundle: Bundle, precision: str, threads: int | None, device: str, device_id: int) -> OpenVinoRuntime:
    """See `pipeline.compute.runtimes.create_runtime`."""
    return OpenVinoRuntime(bundle, precision, threads)
