"""Paddle Inference on the CPU, with oneDNN: what the Paddle Serving service computes with, for whoever measures it.

Importing paddle takes seconds and 500 MB, so it is never chosen where nobody asks for it.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from pipeline.compute.runtimes.graph_check import PLAIN_INPUTS, check_tensor_names
from pipeline.errors import BundleError
from pipeline.files.bundle import PADDLE_GRAPH_FILE, PADDLE_PARAMETERS_FILE, Bundle
from pipeline.tensors import INPUT_IDS, LOGITS, TOKEN_TYPE_IDS

GRAPH_FILES = {precision: (PADDLE_GRAPH_FILE, PADDLE_PARAMETERS_FILE) for precision in ("float32", "bfloat16")}
PACKED_GRAPH_FILES = ()
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}


class PaddleRuntime:
    """A predictor over a bundle's Paddle graph; see `pipeline.compute.runtimes.Runtime`."""

    run_packed = None

    def __init__(self, bundle: Bundle, precision: str, threads: int | None) -> None:
        from paddle import inference

        graph = bundle.file(PADDLE_GRAPH_FILE)
        config = inference.Config(str(graph), str(bundle.file(PADDLE_PARAMETERS_FILE)))
        config.disable_glog_info()
        config.enable_memory_optim()
        config.enable_mkldnn()
        if precision == "bfloat16":
            config.enable_mkldnn_bfloat16()
        config.set_cpu_math_library_num_threads(threads or available_cores())
        try:
            self._predictor = inference.create_predictor(config)
        except (RuntimeError, ValueError) as error:
            raise BundleError(f"{graph} does not load in paddle: {error}") from error
        names = self._predictor.get_input_names(), self._predictor.get_output_names()
        check_tensor_names(graph, *names, PLAIN_INPUTS)

    def run(self, input_ids: np.ndarray, token_type_ids: np.ndarray) -> np.ndarray:
        for name, values in ((INPUT_IDS, input_ids), (TOKEN_TYPE_IDS, token_type_ids)):
            self._predictor.get_input_handle(name).copy_from_cpu(np.ascontiguousarray(values))
        self._predictor.run()
        return self._predictor.get_output_handle(LOGITS).copy_to_cpu()


def fault(precision: str, device: str, device_id: int = 0) -> str | None:
    """See `pipeline.compute.runtimes.unavailable`."""
    if find_spec("paddle") is None:
        return "paddlepaddle is not installed; install it or choose runtime onnxruntime"
    if device != "cpu":
        return "paddle computes on the CPU alone here; choose runtime onnxruntime for the GPU, or device cpu"
    if precision == "bfloat16" and not has_bfloat16():
        return "this processor has no bfloat16 instructions; choose precision float32"
    return None


def has_bfloat16() -> bool:
    """Whether the processor has instructions for bfloat16; without them oneDNN computes float32."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return False
    return any(BFLOAT16_FLAGS & set(line.split()) for line in lines if line.startswith("flags"))


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def load(bundle: Bundle, precision: str, threads: int | None, device: str, device_id: int) -> PaddleRuntime:
    """See `pipeline.compute.runtimes.create_runtime`."""
    return PaddleRuntime(bundle, precision, threads)
