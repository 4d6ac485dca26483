"""ONNX Runtime, on the CPU or on a CUDA GPU.

On a CPU int8 is faster than float32 and float16 slower: its kernels are there, and it is meant for GPUs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.compute.graph_precision import ONNX_FILES, onnx_graph
from pipeline.compute.runtimes.graph_check import check_tensor_names
from pipeline.errors import BundleError, EnvironmentFault
from pipeline.files.bundle import Bundle
from pipeline.tensors import INPUT_IDS, LOGITS, TOKEN_TYPE_IDS

GRAPH_FILES = {precision: (name,) for precision, name in ONNX_FILES.items()}
PACKED_GRAPH_FILES: tuple[str, ...] = ()
CPU_PROVIDER, GPU_PROVIDER = "CPUExecutionProvider", "CUDAExecutionProvider"


class OnnxRuntime:
    """A session over a bundle's ONNX graph; see `pipeline.compute.runtimes.Runtime`."""

    run_packed = None

    def __init__(self, bundle: Bundle, precision: str, threads: int | None, device: str, device_id: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.log_severity_level = 3
        providers: list[Any] = [CPU_PROVIDER]
        if device == "gpu":
            providers.insert(0, (GPU_PROVIDER, {"device_id": device_id}))
        graph = onnx_graph(bundle, precision)
        name = graph if isinstance(graph, Path) else f"the {precision} graph of {bundle.path}"
        source = str(graph) if isinstance(graph, Path) else graph
        try:
            self._session = onnxruntime.InferenceSession(source, options, providers=providers)
        except Exception as error:
            raise BundleError(f"{name} does not load in onnxruntime: {error}") from error
        used = self._session.get_providers()
        if device == "gpu" and GPU_PROVIDER not in used:  # onnxruntime goes on without a provider that does not start
            raise EnvironmentFault(
                f"onnxruntime could not start {GPU_PROVIDER} on GPU {device_id} and would use {', '.join(used)}; "
                "check the driver, CUDA, cuDNN and the GPU's number, or choose device cpu"
            )
        check_tensor_names(
            name,
            [tensor.name for tensor in self._session.get_inputs()],
            [tensor.name for tensor in self._session.get_outputs()],
        )

    def run(self, input_ids: np.ndarray, token_type_ids: np.ndarray) -> np.ndarray:
        return self._session.run([LOGITS], {INPUT_IDS: input_ids, TOKEN_TYPE_IDS: token_type_ids})[0]


def fault(precision: str, device: str) -> str | None:
    """See `pipeline.compute.runtimes.unavailable`."""
    try:
        import onnxruntime
    except ImportError:
        return "onnxruntime is not installed; install it or choose runtime openvino"
    if device == "cpu":
        return None
    if precision == "int8":
        return "onnxruntime computes int8 on the CPU alone; choose float16 for the GPU, or device cpu"
    there = onnxruntime.get_available_providers()
    if GPU_PROVIDER not in there:
        return (
            f"onnxruntime has no {GPU_PROVIDER} here, only {', '.join(there)}; install onnxruntime-gpu on a machine "
            "with an NVIDIA GPU, or choose device cpu"
        )
    return None


def load(bundle: Bundle, precision: str, threads: int | None, device: str, device_id: int) -> OnnxRuntime:
    """See `pipeline.compute.runtimes.create_runtime`."""
    return OnnxRuntime(bundle, precision, threads, device, device_id)
