"""Bundles published for Triton's own backends: beside each other, by the command, and in a real server.

The server runs the configurations with a stand-in, a Python model that computes what it is given.
"""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import onnx
import pytest

from clients.triton import TritonClient
from pipeline.errors import InputError
from pipeline.files.bundle import seal
from serving.process.ports import Ports
from serving.publish import parse_args
from serving.published import PublishedVersion
from serving.staging import write_seal
from serving.triton.deployment import TritonDeployment
from serving.triton.options import ServingOptions
from serving.triton.publication import serving_options
from serving.triton.repository import ModelRepository
from serving.triton.server.options import TritonOptions
from tests.conftest import run_command
from tests.serving.bundles import renamed_bundle
from tests.serving.native_stand_in import OPTIONS, computed_shapes, let_python_stand_in, published_config
from tests.serving.passing import PassingServer


def content(folder):
    """Every file of a folder, with what it holds and when it was written."""
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def fewer_labels(bundle, tmp_path_factory):
    """The bundle without its last label."""
    folder = tmp_path_factory.mktemp("fewer") / "bundle"
    other = renamed_bundle(bundle, folder, "")
    manifest, graph = other.manifest, onnx.load(other.file("model.onnx"))
    (order,) = [tensor for tensor in graph.graph.initializer if tensor.name == "new_order"]
    order.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(order)[1:], "new_order"))
    graph.graph.output[0].type.tensor_type.shape.dim[1].dim_value -= 1
    onnx.save(graph, folder / "model.onnx")
    fewer = {"labels": manifest.labels[1:], "thresholds": manifest.thresholds[1:], "calibration": None}
    return seal(folder, replace(manifest, **fewer, goldens=()))


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    let_python_stand_in(monkeypatch, tmp_path)


def test_versions_that_differ_in_precision_alone_are_loaded_side_by_side(bundle, tmp_path):
    repository = ModelRepository(tmp_path)
    TritonDeployment(repository).publish(bundle, OPTIONS)
    second = TritonDeployment(repository).publish(bundle, replace(OPTIONS, precision="int8"))
    assert list(published_config(repository).version_policy.specific.versions) == [2]
    sizes = [(tmp_path / "seqcls_model" / number / "model.onnx").stat().st_size for number in "12"]
    assert sizes[0] > 2 * sizes[1]
    repository.load_only(repository.version(1), second)
    assert list(published_config(repository).version_policy.specific.versions) == [1, 2]


@pytest.mark.parametrize(
    ("options", "which", "message"),
    [
        (
            OPTIONS,
            "fewer labels",
            r"version 1 \(native onnxruntime, (\d+) labels, 128 tokens\) and version 2 \(native on",
        ),
        (replace(OPTIONS, runtime="openvino"), "same", "version 2 .native openvino, .* cannot be loaded side by side"),
        (ServingOptions(queue_size=512), "same", r"and version 2 \(Python backend\) cannot be loaded side by side"),
    ],
)
def test_what_cannot_be_loaded_beside_the_live_version_is_refused_before_anything_changes(
    options, which, message, bundle, fewer_labels, tmp_path
):
    repository = ModelRepository(tmp_path)
    TritonDeployment(repository).publish(bundle, OPTIONS)
    before = content(tmp_path)
    with pytest.raises(InputError, match=message):
        TritonDeployment(repository).publish(fewer_labels if which == "fewer labels" else bundle, options)
    assert content(tmp_path) == before


def test_rolling_back_to_another_kind_changes_nothing(bundle, tmp_path):
    repository = ModelRepository(tmp_path)
    TritonDeployment(repository).publish(bundle, OPTIONS)
    version = PublishedVersion.now(2, bundle, OPTIONS.fitted(128), ())
    repository.add(bundle, version)
    record = tmp_path / "seqcls_model" / "2" / "version.json"
    record.write_text(replace(version, options=ServingOptions()).text())
    write_seal(record.parent, record.name)
    before = content(tmp_path)
    with pytest.raises(InputError, match=r"version 1 \(native.*\) and version 2 \(Python backend\) cannot be loaded"):
        TritonDeployment(repository).roll_back(2)
    assert content(tmp_path) == before


def test_the_command_publishes_it(bundle, tmp_path):
    words = ["--bundle", bundle.path, "--model_repository", tmp_path / "repository", "--state_dir", tmp_path / "state"]
    done = run_command("-m", "serving.publish", *words, "--backend", "native", "--padded_lengths", 20, 60)
    assert "as version 1 (native onnxruntime, float32); no server is running" in done.stdout
    (version,) = ModelRepository(tmp_path / "repository").versions()
    assert version.options.padded_lengths == (20, 60, 128)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--backend native", {"runtime": "onnxruntime", "precision": "int8", "token_budget": 1024, "queue_size": 0}),
        ("--backend native --runtime openvino", {"runtime": "openvino", "precision": "bfloat16"}),
        (
            "--backend native --device gpu",
            {"runtime": "onnxruntime", "precision": "float16", "token_budget": 16384, "queue_size": 0},
        ),
        ("--backend native --device gpu --precision float32 --queue_size 5", {"precision": "float32", "queue_size": 5}),
        ("--backend native --device gpu --tensorrt", {"precision": "float16", "tensorrt": True}),
        (
            "--device gpu",
            {"backend": "python", "runtime": "onnxruntime", "precision": "float16", "token_budget": 16384},
        ),
        (
            "--device gpu --tensorrt --devices 0,1",
            {"precision": "float16", "graph_precision": "float32", "gpus": (0, 1)},
        ),
        ("--backend native --precision float32 --token_budget 99", {"precision": "float32", "token_budget": 99}),
    ],
)
def test_options_of_the_command_line(words, expected, bundle, tmp_path):
    choices = [
        ("openvino", "bfloat16"),
        ("onnxruntime", "int8"),
        ("onnxruntime", "float32"),
        ("onnxruntime", "float16"),
    ]
    gate = {"choices": [{"runtime": runtime, "precision": precision} for runtime, precision in choices]}
    shutil.copytree(bundle.path, tmp_path / "released")
    released = seal(tmp_path / "released", replace(bundle.manifest, gate=gate))
    wishes = parse_args(["--only", "triton", *words.split()])
    options = serving_options(released, wishes)
    assert {name: getattr(options, name) for name in expected} == expected
    if "--precision" not in words and "--tensorrt" not in words:
        assert serving_options(bundle, wishes).precision == "float32"


@pytest.mark.parametrize(
    "options", [OPTIONS, replace(OPTIONS, runtime="openvino")], ids=lambda options: options.runtime
)
def test_a_real_server_runs_the_configuration_with_the_padded_tokeniser(options, bundle, stand_in, tmp_path):
    """The ensemble, the warm-up, the padding and the joining of equal shapes are Triton's; the rest is a stand-in."""
    repository = ModelRepository(tmp_path / "repository")
    version = TritonDeployment(repository).publish(bundle, replace(options, token_budget=512))
    goldens = bundle.manifest.goldens
    with PassingServer(repository.path, ports=Ports.free(), state_dir=tmp_path / "state") as server:
        server.wait_ready()
        warmed = len(computed_shapes(repository))
        server.control.check(version.expected)
        server.control.check(version.expected, version.number)
        with TritonClient(server.grpc_address) as client, ThreadPoolExecutor(8) as callers:
            together = client.classify([golden.text for golden in goldens])
            alone = list(callers.map(lambda golden: client.classify([golden.text])[0], goldens))
    for golden, *answers in zip(goldens, together, alone):
        assert [{prediction.label for prediction in answer} for answer in answers] == [set(golden.labels)] * 2
    batches = computed_shapes(repository)
    config = published_config(repository)
    assert warmed == len(config.model_warmup)
    for shapes in batches:
        assert len({shape[1] for shape in shapes}) == 1
        assert shapes[0][1] in version.options.padded_lengths
        if len(shapes) > 1:
            assert sum(shape[0] for shape in shapes) <= max(config.dynamic_batching.preferred_batch_size)


def test_native_versions_follow_each_other_in_a_running_server(bundle, stand_in, tmp_path):
    repository = ModelRepository(tmp_path / "repository")
    other = renamed_bundle(bundle, tmp_path / "other", "新")
    TritonDeployment(repository).publish(bundle, OPTIONS)
    explicit = TritonOptions(model_control_mode="explicit", load_model=("*",))
    with PassingServer(repository.path, ports=Ports.free(), state_dir=tmp_path / "state", options=explicit) as server:
        server.wait_ready()
        deployment = TritonDeployment(repository, [server.control])
        version = deployment.publish(other, OPTIONS)
        assert server.control.ready_versions("seqcls_model") == [2]
        server.control.check(version.expected)
        server.control.check(deployment.roll_back().expected)
        assert server.control.ready_versions("seqcls_model") == [1]
