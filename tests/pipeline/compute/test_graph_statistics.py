import numpy as np
import pytest

from pipeline.compute.graph_statistics import GraphStatistics, graph_statistics
from pipeline.errors import InputError

onnx = pytest.importorskip("onnx")


def graph(nodes, **initializers):
    """A graph's bytes; none that would run."""
    tensors = [onnx.numpy_helper.from_array(value, name) for name, value in initializers.items()]
    made = [onnx.helper.make_node(operator, inputs, [f"{operator}.out"]) for operator, *inputs in nodes]
    return onnx.helper.make_model(onnx.helper.make_graph(made, "test", [], [], tensors)).SerializeToString()


def test_products_with_weights_are_counted_by_kind():
    content = graph(
        [("MatMul", "x", "w"), ("Gemm", "x", "h", "bias"), ("MatMulInteger", "x", "q", "x0", "q0"), ("Add", "x", "w")],
        w=np.zeros((4, 6), np.float32),
        h=np.zeros((5, 3), np.float16),
        bias=np.zeros(5, np.float16),
        q=np.zeros((8, 2), np.int8),
        q0=np.zeros(2, np.int8),
        shape=np.zeros(3, np.int64),
    )
    assert graph_statistics(content) == GraphStatistics(24 + 15 + 5, 16 + 2, 24 + 15, 16)


def test_weights_that_are_dequantised_first_are_multiplied_as_floats():
    content = graph(
        [("DequantizeLinear", "q", "scale"), ("MatMul", "x", "DequantizeLinear.out")],
        q=np.zeros((8, 2), np.int8),
        scale=np.ones((), np.float32),
    )
    counted = graph_statistics(content)
    assert counted == GraphStatistics(1, 16, 16, 0)
    assert (counted.parameters, counted.macs) == (17, 16)


def test_products_of_activations_have_no_weights():
    assert graph_statistics(graph([("MatMul", "x", "y")])).macs == 0


def test_a_file_is_counted_as_its_content(tmp_path):
    content = graph([("MatMul", "x", "w")], w=np.zeros((4, 6), np.float32))
    (tmp_path / "model.onnx").write_bytes(content)
    assert graph_statistics(tmp_path / "model.onnx") == graph_statistics(content)


def test_what_is_no_graph_is_named(tmp_path):
    (tmp_path / "text").write_text("no graph")
    for name in ("text", "nowhere"):
        with pytest.raises(InputError, match=f"{name} is no ONNX graph"):
            graph_statistics(tmp_path / name)
