import shutil
import sys

import numpy as np
import pytest

from pipeline.compute.graph_precision import ONNX_FILES, derived_graph, onnx_graph, write_graph
from pipeline.compute.graph_statistics import graph_statistics
from pipeline.errors import BundleError, EnvironmentFault
from pipeline.files.bundle import Bundle, seal
from pipeline.predictor import Predictor

DERIVED = ("float16", "int8")


@pytest.fixture(scope="module")
def texts(bundle_path):
    return [golden.text for golden in Bundle(bundle_path).manifest.goldens] * 2


@pytest.fixture
def complete(bundle_path, tmp_path):
    """A bundle that carries the graphs of all precisions."""
    folder = shutil.copytree(bundle_path, tmp_path / "complete")
    bundle = Bundle(bundle_path)
    for precision in ("float32", "bfloat16", *DERIVED):
        write_graph(bundle, precision, folder)
    return seal(folder, bundle.manifest)


def test_the_int8_graph_is_quantised_as_its_arithmetic_says(bundle_path):
    bundle = Bundle(bundle_path)
    exact, quantised = graph_statistics(bundle.file("model.onnx")), graph_statistics(onnx_graph(bundle, "int8"))
    assert exact.integer_macs == exact.integer_parameters == 0
    assert quantised.macs == exact.macs
    # What gives the logits stays float32: its number of columns, that of the labels, is no multiple of 16.
    hidden = quantised.float_macs / len(bundle.hierarchy)
    assert len(bundle.hierarchy) % 16 != 0
    assert hidden in (128, 256, 312, 384)
    assert quantised.integer_parameters > 0.9 * exact.float_parameters
    assert quantised.float_parameters < 0.1 * exact.float_parameters


def test_files_shrink(complete):
    sizes = {precision: complete.file(name).stat().st_size for precision, name in ONNX_FILES.items()}
    assert sizes["float16"] < 0.52 * sizes["float32"]
    assert sizes["int8"] < 0.35 * sizes["float32"]


def test_logits_stay_near_those_of_float32(bundle_path, texts):
    exact, half, quantised = (Predictor(bundle_path, precision=precision).logits(texts) for precision in ONNX_FILES)
    assert half.dtype == quantised.dtype == np.float32
    assert 0 < np.abs(half - exact).max() < 0.05
    assert 0 < np.abs(quantised - exact).max() < 1
    assert np.abs(quantised - exact).mean() < 0.1
    assert np.corrcoef(quantised.ravel(), exact.ravel())[0, 1] > 0.995


def test_int8_logits_do_not_depend_on_the_number_of_threads(bundle_path, texts):
    """onnxruntime's AMX kernel is wrong on several threads for some widths; see COLUMNS_MULTIPLE."""
    rows = [texts[0]] * 40
    alone, *others = (Predictor(bundle_path, precision="int8", threads=count).logits(rows) for count in (1, 2, 3))
    for logits in others:
        np.testing.assert_allclose(logits, alone, atol=1e-4)


@pytest.mark.parametrize("precision", DERIVED)
def test_a_derived_graph_is_the_one_that_a_bundle_carries(bundle_path, complete, precision):
    before = sorted(bundle_path.iterdir())
    assert onnx_graph(Bundle(bundle_path), precision) == complete.file(ONNX_FILES[precision]).read_bytes()
    assert sorted(bundle_path.iterdir()) == before


def test_without_onnx_a_carried_graph_runs_and_no_other(bundle_path, complete, texts, monkeypatch):
    expected = Predictor(bundle_path, precision="int8", threads=1).logits(texts)
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert (Predictor(complete, precision="int8", threads=1).logits(texts) == expected).all()
    with pytest.raises(
        EnvironmentFault, match=r"int8 needs the packages onnx .* a bundle that holds model\.int8\.onnx"
    ):
        Predictor(bundle_path, precision="int8")


def test_nothing_is_derived_from_what_is_no_graph(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(BundleError, match=r"model\.onnx does not load in onnx"):
        derived_graph(tmp_path / "model.onnx", "int8")
