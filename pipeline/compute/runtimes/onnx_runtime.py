"""ONNX Runtime, on the CPU, or on a GPU by itself or through TensorRT.

On a CPU int8 is faster than float32 and float16 slower: its kernels are there, and it is meant for GPUs. TensorRT takes
the float32 graph and lowers it itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.compute import gpu
from pipeline.compute.graph_precision import ONNX_FILES, onnx_graph
from pipeline.compute.runtimes.graph_check import check_tensor_names
from pipeline.errors import BundleError, EnvironmentFault
from pipeline.files.bundle import Bundle
from pipeline.tensors import INPUT_IDS, LOGITS, TOKEN_TYPE_IDS

GRAPH_FILES = {precision: (name,) for precision, name in ONNX_FILES.items()}
PACKED_GRAPH_FILES: tuple[str, ...] = ()
CPU_PROVIDER, GPU_PROVIDER, TENSORRT_PROVIDER = (f"{name}ExecutionProvider" for name in ("CPU", "CUDA", "Tensorrt"))
PROVIDERS = {"cpu": CPU_PROVIDER, "gpu": GPU_PROVIDER, "tensorrt": TENSORRT_PROVIDER}
"""The one that each device is computed on by."""


class OnnxRuntime:
    """A session over a bundle's ONNX graph; see `pipeline.compute.runtimes.Runtime`."""

    run_packed = None

    def __init__(self, bundle: Bundle, precision: str, threads: int | None, device: str, device_id: int) -> None:
        import onnxruntime

        self._card = None if device == "cpu" else device_id
        if device != "cpu":
            gpu.load_libraries()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.log_severity_level = 3
        graph = onnx_graph(bundle, "float32" if device == "tensorrt" else precision)
        name = graph if isinstance(graph, Path) else f"the {precision} graph of {bundle.path}"
        source = str(graph) if isinstance(graph, Path) else graph
        try:
            self._session = onnxruntime.InferenceSession(
                source, options, providers=providers(device, precision, device_id)
            )
        except Exception as error:
            self._tell_full_card(error)
            raise BundleError(f"{name} does not load in onnxruntime: {error}") from error
        used, wanted = self._session.get_providers(), PROVIDERS[device]
        if wanted not in used:  # onnxruntime goes on without a provider that does not start
            raise EnvironmentFault(
                f"onnxruntime could not start {wanted} on GPU {device_id} and would use {', '.join(used)}"
                "; it says above which library is lacking, or choose device cpu"
            )
        check_tensor_names(
            name,
            [tensor.name for tensor in self._session.get_inputs()],
            [tensor.name for tensor in self._session.get_outputs()],
        )

    def run(self, input_ids: np.ndarray, token_type_ids: np.ndarray) -> np.ndarray:
        try:
            return self._session.run([LOGITS], {INPUT_IDS: input_ids, TOKEN_TYPE_IDS: token_type_ids})[0]
        except Exception as error:
            self._tell_full_card(error)
            raise

    def _tell_full_card(self, error: Exception) -> None:
        """Raise EnvironmentFault where the error is that of a card without room."""
        if self._card is not None and (why := gpu.full_card(error, self._card)):
            raise EnvironmentFault(why) from error


def providers(device: str, precision: str, device_id: int) -> list[Any]:
    """What computes, the first that can; the CPU is always there, for what has no code for a GPU."""
    found: list[Any] = [CPU_PROVIDER]
    if device != "cpu":
        found.insert(0, (GPU_PROVIDER, {"device_id": device_id}))
    if device == "tensorrt":
        found.insert(0, (TENSORRT_PROVIDER, {"device_id": device_id, "trt_fp16_enable": precision == "float16"}))
    return found


def fault(precision: str, device: str, device_id: int = 0) -> str | None:
    """See `pipeline.compute.runtimes.unavailable`.

    Without a driver, loading the CUDA provider of onnxruntime 1.18.1 ends the process, so it is asked for first.
    """
    try:
        import onnxruntime
    except ImportError:
        return "onnxruntime is not installed; install it or choose runtime openvino"
    if device == "cpu":
        return None
    if precision == "int8":
        return "onnxruntime computes int8 on the CPU alone; choose float16 for the GPU, or device cpu"
    there = onnxruntime.get_available_providers()
    if PROVIDERS[device] not in there:
        return (
            f"onnxruntime has no {PROVIDERS[device]} here, only {', '.join(there)}; `{gpu.SET_UP}` installs one "
            "that has, for a machine with an NVIDIA GPU; or choose device cpu"
        )
    return gpu.fault(gpu.ONNXRUNTIME, device_id)


def load(bundle: Bundle, precision: str, threads: int | None, device: str, device_id: int) -> OnnxRuntime:
    """See `pipeline.compute.runtimes.create_runtime`."""
    return OnnxRuntime(bundle, precision, threads, device, device_id)
