import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from clients.triton import TritonClient
from pipeline.errors import InputError, ServerError
from pipeline.files.bundle import Bundle, seal
from pipeline.files.checksums import write_all_checksums
from serving.process.ports import Ports
from serving.publish import PublishOptions, publish
from serving.published import PublishedVersion
from serving.staging import imported_modules
from serving.triton.configs.ensemble import COMPONENTS, component_configs, ensemble_config, pinned_version
from serving.triton.deployment import TritonDeployment
from serving.triton.options import ServingOptions
from serving.triton.repository import ModelRepository
from tests.conftest import PROJECT, run_command
from tests.serving.passing import PassingServer


def flip_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_configs_name_the_tensors_of_the_graph(bundle_path):
    import onnx

    graph = onnx.load(Bundle(bundle_path).file("model.onnx")).graph
    texts = component_configs(ServingOptions(queue_size=7, instances=2), [4, 3])
    configs = {name: text_format.Parse(text, model_config_pb2.ModelConfig()) for name, text in texts.items()}
    assert set(configs) == {"tokenizer", "seqcls_model", "seqcls_postprocess"}
    model = configs["seqcls_model"]
    assert [tensor.name for tensor in model.input if not tensor.optional] == [tensor.name for tensor in graph.input]
    assert [tensor.name for tensor in model.output] == [tensor.name for tensor in graph.output]
    assert model.instance_group[0].count == 2
    assert not model.dynamic_batching.preferred_batch_size  # with it, requests were seen to wait until they timed out
    assert all(list(config.version_policy.specific.versions) == [3, 4] for config in configs.values())
    for (
        config
    ) in configs.values():  # a queue that Triton bounds leaves requests waiting, see `serving.triton.backend.admission`
        assert config.HasField("dynamic_batching")
        assert not config.dynamic_batching.HasField("default_queue_policy")


@pytest.mark.parametrize("told", [("truncated", "explanation", "promised")[:count] for count in range(4)])
def test_the_ensemble_has_the_outputs_that_the_versions_code_gives(told):
    explains, promises = "explanation" in told, "promised" in told
    tells = {"tells_truncated": bool(told), "explains": explains, "tells_promised": promises}
    version = PublishedVersion(4, "", "", ServingOptions(), (), **tells)
    ensemble = ensemble_config(version)
    assert pinned_version(ensemble) == 4
    config = text_format.Parse(ensemble, model_config_pb2.ModelConfig())
    assert [tensor.name for tensor in config.output] == ["label", "confidence", "scores", *told]
    first, _, last = config.ensemble_scheduling.step
    assert ("truncated" in first.output_map, "explanation" in last.output_map) == (bool(told), explains)
    assert ("promised" in last.output_map) == promises
    assert ("pieces" in first.output_map) == ("pieces" in last.input_map) == explains


def test_what_is_staged_is_what_is_tested(model_repository):
    for model in ("tokenizer", "seqcls_model", "seqcls_postprocess"):
        version = model_repository / model / "1"
        staged = [file.relative_to(version) for file in version.rglob("*.py")]
        assert Path("pipeline/files/bundle.py") in staged
        for file in staged:
            source = PROJECT / "model_repository" / model / "1" / file if file.name == "model.py" else PROJECT / file
            assert (version / file).read_bytes() == source.read_bytes()
    assert not (model_repository / "tokenizer" / "1" / "model.onnx").exists()
    assert not list((model_repository / "seqcls_postprocess").rglob("vocab.txt"))


def test_imports_are_followed_through_the_package():
    found = imported_modules(PROJECT / "model_repository/seqcls_model/1/model.py", PROJECT, ("pipeline", "serving"))
    assert Path("pipeline/compute/runtimes/openvino_runtime.py") in found
    assert Path("pipeline/labels/hierarchy.py") in found
    assert Path("serving/triton/backend/joined.py") in found
    assert Path("pipeline/files/dataset.py") not in found
    assert Path("serving/publish.py") not in found


def test_a_graph_that_the_bundle_lacks_is_derived_when_it_is_published(bundle_path, tmp_path):
    TritonDeployment(ModelRepository(tmp_path / "repository")).publish(
        Bundle(bundle_path), ServingOptions(precision="int8")
    )
    part = Bundle(tmp_path / "repository" / "seqcls_model" / "1")
    assert set(part.files) == {"bundle.json", "model.int8.onnx"}


def test_what_the_release_gate_chose_is_published(bundle_path, tmp_path):
    shutil.copytree(bundle_path, tmp_path / "release")
    gate = {"choices": [{"runtime": "openvino", "precision": "float32"}]}
    seal(tmp_path / "release", replace(Bundle(bundle_path).manifest, gate=gate))
    done = run_command(
        *("-m", "serving.publish", "--bundle", tmp_path / "release", "--model_repository", tmp_path / "repository")
    )
    assert "(openvino, float32)" in done.stdout


def test_a_damaged_bundle_is_not_published_and_the_server_goes_on(bundle_path, model_repository, triton, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(bundle_path, damaged)
    flip_byte(damaged / "model.onnx")
    done = run_command(
        "-m", "serving.publish", "--bundle", damaged, "--model_repository", model_repository, check=False
    )
    assert done.returncode == 2
    assert f"error: {damaged}/model.onnx is damaged: its checksum differs" in done.stderr
    with TritonClient(triton.grpc_address) as client:
        assert client.classify(["某公司宣布裁员"])[0]


def test_a_bundle_of_a_newer_format_is_not_published_and_the_server_goes_on(
    bundle_path, model_repository, triton, tmp_path
):
    newer = tmp_path / "newer"
    shutil.copytree(bundle_path, newer)
    manifest = json.loads((newer / "bundle.json").read_text())
    (newer / "bundle.json").write_text(json.dumps({**manifest, "format_version": 99}))
    write_all_checksums(newer)
    for bundle, message in ((newer, "has bundle format 99"), (tmp_path / "nowhere", "there is no bundle at")):
        words = ("--bundle", bundle, "--model_repository", model_repository)
        done = run_command("-m", "serving.publish", *words, check=False)
        assert done.returncode == 2
        assert message in done.stderr
    with TritonClient(triton.grpc_address) as client:
        assert client.classify(["某公司宣布裁员"])[0]


def test_serving_before_publishing_says_what_to_do(tmp_path):
    (tmp_path / "repository" / "tokenizer" / "1").mkdir(parents=True)
    with pytest.raises(InputError, match="holds no published model: run `make demo`"):
        PassingServer(tmp_path / "repository", ports=Ports.free(), state_dir=tmp_path / "state").start()


def test_a_published_file_that_was_damaged_is_named_when_the_server_starts(model_repository, tmp_path):
    repository = tmp_path / "repository"
    shutil.copytree(model_repository, repository)
    flip_byte(repository / "tokenizer" / "1" / "vocab.txt")
    with (
        pytest.raises(ServerError, match=r"vocab\.txt is damaged: its checksum differs"),
        PassingServer(repository, ports=Ports.free(), state_dir=tmp_path / "state") as server,
    ):
        server.wait_ready()


def test_a_published_bundle_that_went_missing_is_named_when_the_server_starts(model_repository, tmp_path):
    repository = tmp_path / "repository"
    shutil.copytree(model_repository, repository)
    (repository / "seqcls_postprocess" / "1" / "bundle.json").unlink()
    with (
        pytest.raises(ServerError, match=r"bundle\.json is missing"),
        PassingServer(repository, ports=Ports.free(), state_dir=tmp_path / "state") as server,
    ):
        server.wait_ready()


def test_a_copied_repository_runs_its_own_copy_of_the_code(model_repository, tmp_path, bundle_path):
    """Triton's Python backend hands the folder's name to a shell."""
    elsewhere, witness = tmp_path / "else where & 'so' (2) $(touch ran) `touch ran` ;", tmp_path / "witness"
    shutil.copytree(model_repository, elsewhere)
    for package in elsewhere.glob("*/1/pipeline/__init__.py"):
        package.write_text(f"open({str(witness)!r}, 'a').write(__file__ + '\\n')")
    golden = Bundle(bundle_path).manifest.goldens[0]
    with PassingServer(elsewhere, ports=Ports.free(), state_dir=tmp_path / "state") as server:
        server.wait_ready()
        with TritonClient(server.grpc_address) as client:
            assert tuple(p.label for p in client.classify([golden.text])[0]) == golden.labels
    ran = {Path(line).resolve() for line in witness.read_text().splitlines()}
    assert ran == set(elsewhere.glob("*/1/pipeline/__init__.py"))
    assert len(ran) == 3
    assert not Path("/ran").exists()  # the server's working folder


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"runtime": "torch"}, "--runtime is 'torch'; give one of onnxruntime, openvino"),
        ({"precision": "int3"}, "--precision is 'int3'"),
        ({"threads": -1}, "threads is -1"),
        ({"max_batch_size": 0}, "max_batch_size is 0"),
        ({"queue_milliseconds": 0}, "queue_milliseconds is 0"),
        ({"queue_size": -1}, "queue_size is -1"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        ServingOptions(**options)


def test_git_takes_no_notice_of_what_is_published(tmp_path, bundle_path):
    if not (PROJECT / ".git").exists():
        pytest.skip("the project is no git checkout here")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(PROJECT), str(clone)], check=True)
    shutil.copyfile(PROJECT / ".gitignore", clone / ".gitignore")
    for model in COMPONENTS:
        adapter = f"model_repository/{model}/1/model.py"
        shutil.copyfile(PROJECT / adapter, clone / adapter)

    def status():
        words = ["git", "-C", str(clone), "status", "--porcelain"]
        return subprocess.run(words, check=True, capture_output=True, text=True).stdout

    before = status()
    places = {"model_repository": clone / "model_repository", "paddle_folder": clone / "build" / "paddle_serving"}
    publish(PublishOptions(bundle=bundle_path, **places))
    assert status() == before
