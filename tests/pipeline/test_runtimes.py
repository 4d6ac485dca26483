import shutil
import subprocess

import numpy as np
import pytest

from pipeline.bundle import Bundle, seal
from pipeline.errors import BundleError, EnvironmentFault, InputError
from pipeline.predictor import Predictor
from pipeline.runtimes import RUNTIMES, create_runtime


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
    with pytest.raises(EnvironmentFault, match="onnxruntime computes bfloat16 on no CPU; choose float32"):
        create_runtime(Bundle(bundle_path), "onnxruntime", "bfloat16")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("torch",), "unknown runtime 'torch'; choose one of onnxruntime, openvino"),
        (("onnxruntime", "int3"), "unknown precision 'int3'"),
        (("onnxruntime", "float32", 0), "threads is 0"),
    ],
)
def test_unknown_choices_are_refused(bundle_path, arguments, message):
    with pytest.raises(InputError, match=message):
        create_runtime(Bundle(bundle_path), *arguments)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_graph_that_is_none_is_refused(bundle_path, tmp_path, runtime):
    folder = tmp_path / "bundle"
    shutil.copytree(bundle_path, folder)
    for name in ("model.onnx", "float32.pdmodel"):
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
