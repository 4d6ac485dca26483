"""What the machine's matrix products permit: their measured speed, and how many of them a text needs."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.compute.in_process import fresh_process
from pipeline.compute.runtimes.openvino_runtime import ELEMENT_TYPES, openvino
from pipeline.files.bundle import PADDLE_GRAPH_FILE, PADDLE_PARAMETERS_FILE, Bundle

WIDTH, CHAIN, ROWS = 768, 16, 4096
"""ROWS x WIDTH times WIDTH x WIDTH, so many times in a row."""
FLOP_OF_A_RUN = 2 * ROWS * WIDTH * WIDTH * CHAIN
LENGTHS = (16, 48)
"""Of two texts whose work is counted; it is linear in the length."""


@dataclass(frozen=True)
class Work:
    """Floating-point operations of a model's products with its own matrices: 2 x rows x parameters of the matrix.

    Products of activations with each other (attention) and everything that is not a product are left out. The exported
    graphs compute most of the last layer for [CLS] alone: that part is per text.

    Attributes:
        per_token, per_text: FLOP.
        parameters: of all these matrices.
    """

    per_token: float
    per_text: float
    parameters: int

    def flop(self, tokens: float) -> float:
        """Of a text of so many tokens."""
        return self.per_text + self.per_token * tokens


def encoder_work(hidden_size: int, layers: int, feed_forward_size: int) -> Work:
    """As `count_work` finds it in the graph of such an encoder, pooler and classifier left out."""
    layer = 4 * hidden_size**2 + 2 * hidden_size * feed_forward_size
    keys_and_values = 2 * hidden_size**2
    per_token = 2 * (layers - 1) * layer + 2 * keys_and_values
    return Work(per_token, 2 * (layer - keys_and_values), layers * layer)


def count_work(bundle: Bundle) -> Work:
    """Count the products in a bundle's graph."""
    (short, parameters), (long, _) = (_count(bundle, length) for length in LENGTHS)
    per_token = (long - short) / (LENGTHS[1] - LENGTHS[0])
    return Work(per_token, short - per_token * LENGTHS[0], parameters)


def _count(bundle: Bundle, length: int) -> tuple[int, int]:
    """FLOP of one text, and parameters."""
    model = openvino().Core().read_model(bundle.file(PADDLE_GRAPH_FILE), bundle.file(PADDLE_PARAMETERS_FILE))
    model.reshape({tensor.get_any_name(): [1, length] for tensor in model.inputs})
    flop = parameters = 0
    for operation in model.get_ops():
        if operation.get_type_name() != "MatMul":
            continue
        matrix = operation.input_value(1).get_node()
        if matrix.get_type_name() != "Constant":
            continue
        inputs, outputs = matrix.shape[1 if operation.get_attributes()["transpose_b"] else 0], operation.output(0).shape
        flop += 2 * int(np.prod(outputs)) * inputs
        parameters += int(np.prod(matrix.shape))
    return flop, parameters


class MatrixProducts:
    """A chain of large products in OpenVINO, in a process of its own; to be used as a context manager.

    Args:
        precision: a key of ELEMENT_TYPES.
        threads: of the processor; None for one per core.
    """

    def __init__(self, precision: str, threads: int | None = None) -> None:
        self._pool = fresh_process()
        self._pool.submit(_compile, ELEMENT_TYPES[precision], threads).result()

    def __enter__(self) -> MatrixProducts:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown()

    def flop_per_second(self, seconds: float = 1.0) -> float:
        """The median over runs of the chain that take so many seconds together."""
        return FLOP_OF_A_RUN / self._pool.submit(_run_for, seconds).result()


_run: Any
"""The compiled chain, of the process that `_compile` made it in."""


def _compile(element_type: str, threads: int | None) -> None:
    global _run  # noqa: PLW0603
    library = openvino()
    opset13, random = library.opset13, np.random.default_rng(3)
    parameter = node = opset13.parameter([ROWS, WIDTH], np.float32)
    for _ in range(CHAIN):
        matrix = random.normal(0, WIDTH**-0.5, (WIDTH, WIDTH)).astype(np.float32)
        node = opset13.matmul(node, opset13.constant(matrix), False, False)
    options = {"INFERENCE_PRECISION_HINT": element_type, "PERFORMANCE_HINT": "LATENCY"}
    if threads:
        options["INFERENCE_NUM_THREADS"] = str(threads)
    request = library.Core().compile_model(library.Model([node], [parameter]), "CPU", options).create_infer_request()
    request.set_input_tensor(library.Tensor(random.normal(0, 1, (ROWS, WIDTH)).astype(np.float32)))
    _run = request.infer
    _run()


def _run_for(seconds: float) -> float:
    """Median seconds of a run."""
    found: list[float] = []
    while sum(found) < seconds:
        started = time.perf_counter()
        _run()
        found.append(time.perf_counter() - started)
    return statistics.median(found)
