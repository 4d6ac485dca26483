import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from pipeline.compute import gpu
from pipeline.compute.runtimes import RUNTIMES, create_runtime, graph_files, unavailable
from pipeline.compute.runtimes.onnx_runtime import providers
from pipeline.errors import BundleError, EnvironmentFault, InputError
from pipeline.files.bundle import Bundle, seal
from pipeline.predictor import Predictor


def has_bfloat16():
    return "avx512_bf16" in open("/proc/cpuinfo").read()


@pytest.fixture(scope="module")
def texts(bundle_path):
    return [golden.text for golden in Bundle(bundle_path).manifest.goldens]


def test_runtimes_agree(bundle_path, texts):
    onnxruntime, openvino = (Predictor(bundle_path, runtime).logits(texts) for runtime in RUNTIMES)
    np.testing.assert_allclose(onnxruntime, openvino, atol=1e-4)


def test_a_text_gets_the_same_answer_alone_and_among_longer_ones(bundle_path, texts):
    predictor = Predictor(bundle_path, token_budget=256)
    alone = np.vstack([predictor.logits([text]) for text in texts])
    np.testing.assert_allclose(predictor.logits([*texts, "长" * 500])[:-1], alone, atol=1e-4)


@pytest.mark.skipif(not has_bfloat16(), reason="this processor has no bfloat16 instructions")
def test_bfloat16_is_close_to_float32(bundle_path, texts):
    exact = Predictor(bundle_path, "openvino").logits(texts)
    rounded = Predictor(bundle_path, "openvino", "bfloat16").logits(texts)
    assert 0 < np.abs(exact - rounded).max() < 0.2


def test_the_predictor_gives_the_golden_labels(bundle_path):
    goldens = Bundle(bundle_path).manifest.goldens
    answers = Predictor(bundle_path).predict([golden.text for golden in goldens])
    assert [tuple(p.label for p in answer) for answer in answers] == [golden.labels for golden in goldens]


def test_no_texts_have_no_answers(bundle_path):
    assert Predictor(bundle_path).predict([]) == []


def test_a_text_that_cannot_be_read_is_named_by_its_row(bundle_path):
    with pytest.raises(InputError, match="row 1: .*empty"):
        Predictor(bundle_path).predict(["裁员", ""])


def test_what_this_machine_lacks_is_said(bundle_path):
    refusals = {
        ("onnxruntime", "bfloat16"): "onnxruntime does not compute bfloat16 here; choose one of float32, .* openvino",
        ("openvino", "int8"): "openvino does not compute int8 here; choose one of float32, bfloat16, .* onnxruntime",
        ("openvino", "float16"): "openvino does not compute float16 here",
    }
    for (runtime, precision), message in refusals.items():
        assert re.match(message, unavailable(runtime, precision))
        with pytest.raises(EnvironmentFault, match=message):
            create_runtime(Bundle(bundle_path), runtime, precision)
        with pytest.raises(InputError, match=message):
            graph_files(Bundle(bundle_path), runtime, precision)


def test_what_this_machine_has_is_available():
    assert unavailable("onnxruntime") is unavailable("onnxruntime", "int8") is unavailable("openvino") is None
    assert unavailable("openvino", device="gpu").endswith("choose runtime onnxruntime for the GPU, or device cpu")
    assert "choose float16 for the GPU" in unavailable("onnxruntime", "int8", "gpu")


def test_openvino_sends_its_makers_nothing():
    script = (
        "import os, sys; os.register_at_fork(before=lambda: os._exit(1))\n"
        "from pipeline.compute.runtimes import unavailable; assert not unavailable('openvino')\n"
        "assert 'openvino' in sys.modules and sys.modules['openvino_telemetry'] is None"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_each_precision_has_its_files(bundle_path, without_packed_graph):
    bundle = Bundle(bundle_path)
    assert graph_files(bundle, "onnxruntime") == ("model.onnx",)
    assert graph_files(bundle, "onnxruntime", "int8") == ("model.int8.onnx",)
    assert graph_files(bundle, "openvino", "bfloat16") == ("packed.pdmodel", "float32.pdiparams")
    assert graph_files(without_packed_graph, "openvino") == ("float32.pdmodel", "float32.pdiparams")


@pytest.fixture
def without_packed_graph(bundle_path, tmp_path):
    folder = tmp_path / "plain"
    shutil.copytree(bundle_path, folder)
    (folder / "packed.pdmodel").unlink()
    return seal(folder, Bundle(bundle_path).manifest)


def test_packed_texts_get_the_answers_that_they_get_alone(bundle_path, without_packed_graph, texts):
    many = [text[:length] for text in texts for length in (3, 9, 40, 200)] + ["长" * 500]
    many += ["某公司宣布[PAD]裁员两千人", "[PAD]" * 8 + "两人死亡"]
    packed = Predictor(bundle_path, "openvino")
    alone = np.vstack([packed.logits([text]) for text in many])
    np.testing.assert_allclose(packed.logits(many), alone, atol=1e-4)
    np.testing.assert_allclose(Predictor(without_packed_graph, "openvino").logits(many), alone, atol=1e-4)
    np.testing.assert_allclose(Predictor(bundle_path, "onnxruntime").logits(many), alone, atol=1e-4)


@pytest.mark.parametrize(
    ("device", "precision", "names", "of_first"),
    [
        ("cpu", "int8", ["CPU"], None),
        ("gpu", "float16", ["CUDA", "CPU"], {"device_id": 2}),
        ("tensorrt", "float16", ["Tensorrt", "CUDA", "CPU"], {"device_id": 2, "trt_fp16_enable": True}),
        ("tensorrt", "float32", ["Tensorrt", "CUDA", "CPU"], {"device_id": 2, "trt_fp16_enable": False}),
    ],
)
def test_each_device_has_its_providers(device, precision, names, of_first):
    found = [each if isinstance(each, tuple) else (each, None) for each in providers(device, precision, 2)]
    assert [name.removesuffix("ExecutionProvider") for name, _ in found] == names
    assert found[0][1] == of_first


def test_a_full_card_is_the_machines_fault(bundle_path, monkeypatch):
    """As onnxruntime tells it at the first run of a shape that is too large."""
    predictor = Predictor(bundle_path)

    class Full:
        def run(self, *_):
            raise RuntimeError("Failed to allocate memory for requested buffer of size 268435456")

    monkeypatch.setattr(predictor._engine._runtime, "_session", Full())
    with pytest.raises(RuntimeError):  # of this machine's memory nothing is said here
        predictor.logits(["裁员"])
    monkeypatch.setattr(predictor._engine._runtime, "_card", 0)
    with pytest.raises(EnvironmentFault, match="^GPU 0 has no room for the model"):
        predictor.logits(["裁员"])


def test_a_runtime_that_is_not_installed_is_named(monkeypatch):
    for runtime in RUNTIMES:
        monkeypatch.setitem(sys.modules, runtime, None)
        assert unavailable(runtime).startswith(f"{runtime} is not installed; install it or choose runtime")


@pytest.mark.skipif(not unavailable("onnxruntime", device="gpu"), reason="this machine has a GPU")
def test_a_missing_gpu_is_said_with_what_is_there(bundle_path):
    with pytest.raises(
        EnvironmentFault, match=r"no CUDAExecutionProvider here, only .*CPUExecutionProvider.* device cpu"
    ):
        create_runtime(Bundle(bundle_path), "onnxruntime", device="gpu")


@pytest.mark.skipif(not unavailable("onnxruntime", device="gpu"), reason="this machine has a GPU")
@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_gpu_that_does_not_start_is_no_cpu(bundle_path, monkeypatch):
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(gpu, "fault", lambda *_: None)
    with pytest.raises(EnvironmentFault, match="could not start CUDAExecutionProvider on GPU 3 and would use CPU"):
        create_runtime(Bundle(bundle_path), "onnxruntime", device="gpu", device_id=3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("torch",), "unknown runtime 'torch'; choose one of onnxruntime, openvino"),
        (("onnxruntime", "int3"), "unknown precision 'int3'"),
        (("onnxruntime", "float32", 0), "threads is 0"),
        (("onnxruntime", "float32", 1, "tpu"), "unknown device 'tpu'; choose one of cpu, gpu, tensorrt"),
        (("onnxruntime", "float32", 1, "gpu", -1), "device_id is -1"),
    ],
)
def test_unknown_choices_are_refused(bundle_path, arguments, message):
    with pytest.raises(InputError, match=message):
        create_runtime(Bundle(bundle_path), *arguments)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_graph_that_is_none_is_refused(bundle_path, tmp_path, runtime):
    folder = tmp_path / "bundle"
    shutil.copytree(bundle_path, folder)
    for name in ("model.onnx", "float32.pdmodel", "packed.pdmodel"):
        (folder / name).write_bytes(b"no graph")
    sums = subprocess.run(["sha256sum", *Bundle(bundle_path).files], cwd=folder, capture_output=True, check=True)
    (folder / "SHA256SUMS").write_bytes(sums.stdout)
    with pytest.raises(BundleError, match="does not load in"):
        create_runtime(Bundle(folder), runtime)


def test_a_graph_with_other_tensor_names_is_refused(bundle_path, tmp_path):
    import onnx

    folder = tmp_path / "bundle"
    shutil.copytree(bundle_path, folder)
    model = onnx.load(folder / "model.onnx")
    model.graph.input[0].name = "ids"
    for node in model.graph.node:
        node.input[:] = ["ids" if name == "input_ids" else name for name in node.input]
    onnx.save(model, folder / "model.onnx")
    seal(folder, Bundle(bundle_path).manifest)
    with pytest.raises(BundleError, match=r"has inputs \['ids', 'token_type_ids'\]; expected \['input_ids'"):
        create_runtime(Bundle(folder), "onnxruntime")
