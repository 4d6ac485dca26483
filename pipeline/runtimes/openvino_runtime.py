"""OpenVINO on the CPU, reading the Paddle graph directly: it builds a better graph from it than from the ONNX file."""

from __future__ import annotations

import numpy as np

from pipeline.bundle import PADDLE_GRAPH_FILE, PADDLE_PARAMETERS_FILE, Bundle
from pipeline.errors import BundleError, EnvironmentFault
from pipeline.runtimes.graph_check import check_tensor_names
from pipeline.tensors import INPUT_IDS, LOGITS, TOKEN_TYPE_IDS

GRAPH_FILES = (PADDLE_GRAPH_FILE, PADDLE_PARAMETERS_FILE)
_ELEMENT_TYPES = {"float32": "f32", "bfloat16": "bf16"}


class OpenVinoRuntime:
    """A compiled model over a bundle's Paddle graph; see `pipeline.runtimes.Runtime`."""

    def __init__(self, bundle: Bundle, precision: str, threads: int | None) -> None:
        try:
            import openvino
        except ImportError as error:
            raise EnvironmentFault("openvino is not installed; install it or choose runtime onnxruntime") from error
        core = openvino.Core()
        if precision == "bfloat16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise EnvironmentFault("this processor has no bfloat16 instructions; choose precision float32")
        path = bundle.file(PADDLE_GRAPH_FILE)
        bundle.file(PADDLE_PARAMETERS_FILE)
        options = {"INFERENCE_PRECISION_HINT": _ELEMENT_TYPES[precision], "PERFORMANCE_HINT": "LATENCY"}
        if threads:
            options["INFERENCE_NUM_THREADS"] = str(threads)
        try:
            model = core.read_model(path)
            check_tensor_names(path, *([t.get_any_name() for t in side] for side in (model.inputs, model.outputs)))
            self._model = core.compile_model(model, "CPU", options)
        except RuntimeError as error:
            raise BundleError(f"{path} does not load in openvino: {error}") from error

    def run(self, input_ids: np.ndarray, token_type_ids: np.ndarray) -> np.ndarray:
        return self._model({INPUT_IDS: input_ids, TOKEN_TYPE_IDS: token_type_ids})[LOGITS]


def load(bundle: Bundle, precision: str, threads: int | None) -> OpenVinoRuntime:
    """See `pipeline.runtimes.create_runtime`."""
    return OpenVinoRuntime(bundle, precision, threads)
