"""What the arithmetic of an ONNX graph costs: its parameters and its multiply-accumulates, by kind of number."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import EnvironmentFault, InputError

_FLOAT_PRODUCTS = ("MatMul", "Gemm")
_INTEGER_PRODUCTS = ("MatMulInteger", "QLinearMatMul", "DynamicQuantizeMatMul", "MatMulIntegerToFloat")


@dataclass(frozen=True)
class GraphStatistics:
    """Counts of one graph.

    Attributes:
        float_parameters: numbers in float initializers, scales of quantised weights included.
        integer_parameters: numbers in 8-bit initializers. Wider integers are shapes and positions, not parameters.
        float_macs: multiply-accumulates per token of float products with weights.
        integer_macs: those of integer products with weights.

    Per token means that each weight is counted once, as if it were applied to every token: that the last encoder
    layer computes [CLS] alone is not seen, and neither are attention's products, which have no weights.
    """

    float_parameters: int
    integer_parameters: int
    float_macs: int
    integer_macs: int

    @property
    def parameters(self) -> int:
        return self.float_parameters + self.integer_parameters

    @property
    def macs(self) -> int:
        return self.float_macs + self.integer_macs


def graph_statistics(graph: Path | str | bytes) -> GraphStatistics:
    """Count an ONNX graph, given as a file or as its content.

    Raises:
        EnvironmentFault: onnx is not installed.
        InputError: the file cannot be read, or holds no ONNX graph.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise EnvironmentFault("counting a graph's parameters needs the package onnx; install it") from error
    try:
        model = onnx.load_model_from_string(graph) if isinstance(graph, bytes) else onnx.load(graph)
    except (DecodeError, OSError) as error:
        raise InputError(f"{'the graph' if isinstance(graph, bytes) else graph} is no ONNX graph: {error}") from error
    floats, integers = _parameters(model.graph)
    return GraphStatistics(floats, integers, _macs(model.graph, _FLOAT_PRODUCTS), _macs(model.graph, _INTEGER_PRODUCTS))


def _parameters(graph: Any) -> tuple[int, int]:
    """Float and 8-bit numbers in the graph's initializers."""
    from onnx import TensorProto

    floats = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
    bytes_wide = (TensorProto.INT8, TensorProto.UINT8)
    floating, whole = (
        sum(math.prod(tensor.dims) for tensor in graph.initializer if tensor.data_type in kind)
        for kind in (floats, bytes_wide)
    )
    return floating, whole


def _macs(graph: Any, operators: tuple[str, ...]) -> int:
    """Multiply-accumulates per token of these operators' products with weights."""
    shapes = {tensor.name: tensor.dims for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type in ("DequantizeLinear", "Cast") and node.input[0] in shapes:
            shapes[node.output[0]] = shapes[node.input[0]]
    weights = (
        shapes[name] for node in graph.node if node.op_type in operators for name in node.input if name in shapes
    )
    return sum(math.prod(shape) for shape in weights if len(shape) > 1)
