"""From a paddle model to the static graph and the ONNX graph, with tensor names that tell what they are."""

from __future__ import annotations

import filecmp
import pickle
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.compute.runtimes.graph_check import PACKED_INPUTS, PLAIN_INPUTS
from pipeline.errors import ClassifierError
from pipeline.files.bundle import PACKED_GRAPH_FILE, PADDLE_GRAPH_FILE, PADDLE_PARAMETERS_FILE
from pipeline.tensors import LOGITS
from training.model.packed import PackedClassifier
from training.model.pooling import pool_in_last_layer

ONNX_OPSET = 17
GRAPH_PREFIX = Path(PADDLE_GRAPH_FILE).stem


def export_static(model: Any, folder: Path) -> None:
    """Write float32.pdmodel, float32.pdiparams, float32.pdiparams.info and packed.pdmodel of `model` to `folder`.

    The first graph takes `input_ids` and `token_type_ids`, int64 [batch, length], and gives `logits`, float32
    [batch, labels]; batch and length are free. The packed one takes what `pipeline.compute.packing` makes, and reads
    the same parameters; of an encoder with layers of its own kind there is none. The last encoder layer of `model`
    gives one vector a text from then on.

    Raises:
        ClassifierError: paddle stores the parameters of the two graphs differently.
    """
    model.eval()
    packable = pool_in_last_layer(model)
    save_graph(model, PLAIN_INPUTS, folder / GRAPH_PREFIX)
    if not packable:
        return
    with tempfile.TemporaryDirectory(dir=folder) as place:
        graph = Path(place) / PACKED_GRAPH_FILE
        packed = PackedClassifier(model)
        packed.eval()
        save_graph(packed, PACKED_INPUTS, graph.with_suffix(""))
        if not filecmp.cmp(graph.with_suffix(".pdiparams"), folder / PADDLE_PARAMETERS_FILE, shallow=False):
            raise ClassifierError(
                "paddle stores the parameters of the packed graph in another order; nothing was exported"
            )
        graph.rename(folder / PACKED_GRAPH_FILE)


def save_graph(model: Any, inputs: Iterable[str], prefix: Path) -> None:
    """Write `prefix`.pdmodel, .pdiparams and .pdiparams.info of `model`; its inputs are int64 [batch, length] each."""
    import paddle

    specifications = [paddle.static.InputSpec([None, None], "int64", name=name) for name in inputs]
    static = paddle.jit.to_static(model, input_spec=specifications, full_graph=True)
    paddle.jit.save(static, str(prefix))
    _clean_program(prefix.with_suffix(".pdmodel"))
    _sort_names(prefix.with_suffix(".pdiparams.info"))


def _sort_names(path: Path) -> None:
    """Paddle writes the parameters' names in an order that differs from run to run: equal exports would be unequal."""
    names = pickle.loads(path.read_bytes())
    path.write_bytes(pickle.dumps(dict(sorted(names.items())), protocol=2))


def _clean_program(graph: Path) -> None:
    """Call the fetched variable `logits`, and drop the call stacks with this machine's paths.

    Paddle names the variable differently for each network, and notes with each operator which source line made it.
    """
    from paddle.base.proto import framework_pb2

    program = framework_pb2.ProgramDesc()
    program.ParseFromString(graph.read_bytes())
    block = program.blocks[0]
    (fetched,) = (operator.inputs[0].arguments[0] for operator in block.ops if operator.type == "fetch")
    for variable in block.vars:
        if variable.name == fetched:
            variable.name = LOGITS
    for operator in block.ops:
        for slot in (*operator.inputs, *operator.outputs):
            slot.arguments[:] = [LOGITS if name == fetched else name for name in slot.arguments]
        kept = [attribute for attribute in operator.attrs if attribute.name != "op_callstack"]
        del operator.attrs[:]
        operator.attrs.extend(kept)
    graph.write_bytes(program.SerializeToString())


def raw_onnx(folder: Path) -> bytes:
    """The static graph in `folder` as paddle2onnx converts it."""
    import paddle2onnx

    return paddle2onnx.export(
        str(folder / PADDLE_GRAPH_FILE),
        str(folder / PADDLE_PARAMETERS_FILE),
        opset_version=ONNX_OPSET,
        auto_upgrade_opset=False,
        verbose=False,
    )


def export_onnx(folder: Path, destination: Path) -> None:
    """Convert the static graph in `folder` to a clean ONNX graph at `destination`."""
    import onnx

    model = onnx.load_model_from_string(raw_onnx(folder))
    constants_to_initializers(model.graph)
    fold_constant_products(model.graph)
    _name_dimensions(model.graph)
    onnx.checker.check_model(model)
    onnx.save_model(model, str(destination))


def constants_to_initializers(graph: Any) -> None:
    """Turn every Constant node that holds a tensor into an initializer.

    Tools that quantise, prune or count parameters look at initializers alone, and paddle2onnx writes none.
    """
    constants = [node for node in graph.node if node.op_type == "Constant" and node.attribute[0].name == "value"]
    for node in constants:
        tensor = graph.initializer.add()
        tensor.CopyFrom(node.attribute[0].t)
        tensor.name = node.output[0]
        graph.node.remove(node)


def fold_constant_products(graph: Any) -> None:
    """Replace every product of two initializers by its value, and drop initializers that nothing reads then.

    paddle2onnx expresses the padding row of an embedding as the table times a mask of the table's size, which
    doubles the largest part of the file and is multiplied anew in every run.
    """
    from onnx import numpy_helper

    tensors = {tensor.name: tensor for tensor in graph.initializer}
    products = [node for node in graph.node if node.op_type == "Mul" and all(name in tensors for name in node.input)]
    for node in products:
        value = numpy_helper.to_array(tensors[node.input[0]]) * numpy_helper.to_array(tensors[node.input[1]])
        graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
        graph.node.remove(node)
    read = {name for node in graph.node for name in node.input}
    for tensor in list(graph.initializer):
        if tensor.name not in read:
            graph.initializer.remove(tensor)


def _name_dimensions(graph: Any) -> None:
    for tensor in graph.input:
        for dimension, name in zip(tensor.type.tensor_type.shape.dim, ("batch", "length")):
            dimension.dim_param = name
    graph.output[0].type.tensor_type.shape.dim[0].dim_param = "batch"
