"""OpenVINO on the CPU, reading the Paddle graph directly: it builds a better graph from it than from the ONNX file."""

from __future__ import annotations

import numpy as np

from pipeline.bundle import PADDLE_GRAPH_FILE, PADDLE_PARAMETERS_FILE, Bundle
from pipeline.errors import BundleError
from pipeline.runtimes.graph_check import check_tensor_names
from pipeline.tensors import INPUT_IDS, LOGITS, TOKEN_TYPE_IDS

_ELEMENT_TYPES = {"float32": "f32", "bfloat16": "bf16"}
GRAPH_FILES = {precision: (PADDLE_GRAPH_FILE, PADDLE_PARAMETERS_FILE) for precision in _ELEMENT_TYPES}
PREPARES_SHAPES = True


class OpenVinoRuntime:
    """A compiled model over a bundle's Paddle graph; see `pipeline.runtimes.Runtime`."""

    def __init__(self, bundle: Bundle, precision: str, threads: int | None) -> None:
        import openvino

        core = openvino.Core()
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


def fault(precision: str, device: str) -> str | None:
    """See `pipeline.runtimes.unavailable`."""
    try:
        import openvino
    except ImportError:
        return "openvino is not installed; install it or choose runtime onnxruntime"
    if device != "cpu":
        return "openvino computes on the CPU alone here; choose runtime onnxruntime for the GPU, or device cpu"
    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if precision == "bfloat16" and "BF16" not in capabilities:
        return "this processor has no bfloat16 instructions; choose precision float32"
    return None


def load(bundle: Bundle, precision: str, threads: int | None, device: str, device_id: int) -> OpenVinoRuntime:
    """See `pipeline.runtimes.create_runtime`."""
    return OpenVinoRuntime(bundle, precision, threads)
