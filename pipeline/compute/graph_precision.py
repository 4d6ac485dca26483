"""Graphs of lower precision, derived from a bundle's float32 ONNX graph.

int8: the weights of matrix products are int8 with a scale per column, activations become uint8 with a scale per run
("dynamic"), and the products are summed in int32. Embedding tables are int8 with one scale each. Since that scale is
taken over the whole batch, a text's logits depend a little on the texts that are computed along with it.

float16: every float tensor but the output `logits`. Meant for GPUs; on a CPU it is slower than float32.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.errors import BundleError, EnvironmentFault
from pipeline.files.bundle import ONNX_FILE, ONNX_FLOAT16_FILE, ONNX_INT8_FILE, Bundle
from pipeline.tensors import LOGITS

ONNX_FILES = {"float32": ONNX_FILE, "float16": ONNX_FLOAT16_FILE, "int8": ONNX_INT8_FILE}
"""The file of a bundle that holds the graph in a precision."""

COLUMNS_MULTIPLE = 16
"""Products with a weight of another number of columns stay float32; often it is the one that gives the logits.

onnxruntime's int8 kernel for AMX gives wrong sums for those on several threads. Seen in 1.22.1: on two threads, uint8
[32, 256] times int8 [256, 74] is wrong in row 31. onnxruntime's pull request 27671 mends that kernel's 32-row path.
"""


def onnx_graph(bundle: Bundle, precision: str) -> Path | bytes:
    """The ONNX graph in a precision: the bundle's file, or the bytes of a graph derived from its float32 one.

    Args:
        precision: a key of ONNX_FILES.

    Raises:
        EnvironmentFault, BundleError: as `derived_graph`; BundleError too where the bundle holds neither graph.
    """
    name = ONNX_FILES[precision]
    return bundle.file(name) if name in bundle.files else derived_graph(bundle.file(ONNX_FILE), precision)


def write_graph(bundle: Bundle, precision: str, folder: Path) -> None:
    """Derive the graph that the bundle lacks in a precision into `folder`, so that sealing it makes a complete bundle.

    Nothing is written where the bundle holds the file, or where a precision, such as bfloat16, has none of its own.

    Raises:
        EnvironmentFault, BundleError: as `onnx_graph`.
    """
    name = ONNX_FILES.get(precision)
    if name is not None and name not in bundle.files:
        (folder / name).write_bytes(derived_graph(bundle.file(ONNX_FILE), precision))


def derived_graph(source: Path, precision: str) -> bytes:
    """An ONNX graph with the tensors' names of the float32 graph at `source`; the same bytes each time.

    Args:
        precision: "float16" or "int8".

    Raises:
        EnvironmentFault: onnx, or onnxruntime with its tools, is not installed.
        BundleError: `source` is no ONNX graph.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError

        derive = _DERIVATIONS[precision]()
    except ImportError as error:
        raise EnvironmentFault(
            f"deriving a graph in {precision} needs the packages onnx and onnxruntime ({error}); install them, choose "
            f"precision float32, or take a bundle that holds {ONNX_FILES[precision]}"
        ) from error
    try:
        model = onnx.load(source)
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError) as error:
        raise BundleError(f"{source} does not load in onnx: {error}; export the bundle again") from error
    derived = derive(model)
    onnx.checker.check_model(derived)
    return derived.SerializeToString(deterministic=True)


def _to_float16() -> Callable[[Any], Any]:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    return lambda model: convert_float_to_float16(model, keep_io_types=[LOGITS])


def _to_int8() -> Callable[[Any], Any]:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    def quantise(model: Any) -> Any:
        # A graph without this mark makes onnxruntime log that it should be optimised first: it is as small as it gets.
        add_pre_process_metadata(model)
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / ONNX_INT8_FILE
            # reduce_range is left off: it costs accuracy, and any processor with VNNI computes without overflow.
            quantize_dynamic(
                model,
                target,
                op_types_to_quantize=["MatMul", "Gather"],
                per_channel=True,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=_unfit_products(model.graph),
            )
            return onnx.load(target)

    return quantise


def _unfit_products(graph: Any) -> list[str]:
    """Names of the products whose weights have a number of columns that COLUMNS_MULTIPLE forbids."""
    columns = {tensor.name: tensor.dims[-1] for tensor in graph.initializer if len(tensor.dims) > 1}
    return [
        node.name
        for node in graph.node
        if node.op_type == "MatMul" and columns.get(node.input[1], 0) % COLUMNS_MULTIPLE != 0
    ]


_DERIVATIONS = {"float16": _to_float16, "int8": _to_int8}
"""Each imports what it needs and gives what turns a float32 model into one of that precision."""
