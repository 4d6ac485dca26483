"""ONNX Runtime on the CPU."""

from __future__ import annotations

import numpy as np

from pipeline.bundle import ONNX_FILE, Bundle
from pipeline.errors import BundleError, EnvironmentFault
from pipeline.runtimes.graph_check import check_tensor_names
from pipeline.tensors import INPUT_IDS, LOGITS, TOKEN_TYPE_IDS

GRAPH_FILES = (ONNX_FILE,)


class OnnxRuntime:
    """A session over a bundle's ONNX graph; see `pipeline.runtimes.Runtime`."""

    def __init__(self, bundle: Bundle, threads: int | None) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise EnvironmentFault("onnxruntime is not installed; install it or choose runtime openvino") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.log_severity_level = 3
        path = bundle.file(ONNX_FILE)
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise BundleError(f"{path} does not load in onnxruntime: {error}") from error
        check_tensor_names(
            path,
            [tensor.name for tensor in self._session.get_inputs()],
            [tensor.name for tensor in self._session.get_outputs()],
        )

    def run(self, input_ids: np.ndarray, token_type_ids: np.ndarray) -> np.ndarray:
        return self._session.run([LOGITS], {INPUT_IDS: input_ids, TOKEN_TYPE_IDS: token_type_ids})[0]


def load(bundle: Bundle, precision: str, threads: int | None) -> OnnxRuntime:
    """See `pipeline.runtimes.create_runtime`."""
    if precision != "float32":
        raise EnvironmentFault(f"onnxruntime computes {precision} on no CPU; choose float32, or runtime openvino")
    return OnnxRuntime(bundle, threads)
