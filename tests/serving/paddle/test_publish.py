"""What is published for Paddle Serving."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import BundleError, EnvironmentFault, InputError
from pipeline.files.bundle import Bundle, seal
from serving.paddle.configuration import config_text
from serving.paddle.deployment import PaddleDeployment
from serving.paddle.options import PaddleOptions
from serving.paddle.publication import choose_precision, live_publication
from serving.paddle.server import PaddlePorts
from serving.staging import SEAL_FILE
from tests.conftest import run_command

READ_BY_UPSTREAM = """
import json, sys
import yaml
from google.protobuf import text_format
from paddle_serving_client.proto import general_model_config_pb2 as model
folder = sys.argv[1] + "/live"
config = yaml.safe_load(open(f"{folder}/config.yml"))
described = []
for name in ("serving_server_conf.prototxt", "serving_server_conf.stream.prototxt"):
    parsed = text_format.Parse(open(f"{folder}/serving_server/{name}").read(), model.GeneralModelConfig())
    described.append([[v.alias_name, v.feed_type, list(v.shape)] for v in parsed.feed_var])
    described[-1] += [[v.alias_name, v.fetch_type, list(v.shape)] for v in parsed.fetch_var]
print(json.dumps([config, described]))
"""


def test_upstream_reads_the_configuration_and_the_description_of_the_graph(published, bundle_path, in_serving):
    config, described = json.loads(in_serving("-c", READ_BY_UPSTREAM, published).stdout.splitlines()[-1])
    assert (config["host"], config["rpc_port"], config["http_port"]) == ("127.0.0.1", 18090, 9999)
    local = config["op"]["seq_cls"]["local_service_conf"]
    assert local["client_type"] == "local_predictor"
    assert {"model_config", "fetch_list", "device_type", "devices", "use_mkldnn", "thread_num", "ir_optim"} <= set(
        local
    )
    labels = len(Bundle(bundle_path).manifest.labels)
    assert described == [[["input_ids", 0, [-1, -1]], ["token_type_ids", 0, [-1, -1]], ["logits", 1, [-1, labels]]]] * 2


def test_the_folder_holds_all_that_the_service_needs_and_nothing_that_evaluates(published):
    code = [path.read_text() for path in published.rglob("*.py")]
    assert len(code) > 10
    unsafe = re.compile(r"(?<!literal_)eval\(|import pickle|allow_pickle=True\)\n")
    assert not any(map(unsafe.search, code))
    assert PaddleDeployment(published).live().options.request_seconds == 2


def test_bfloat16_is_served_only_where_the_release_gate_passed_it(bundle_path, tmp_path):
    bundle = Bundle(bundle_path)
    assert choose_precision(bundle, "auto") == "float32"
    with pytest.raises(InputError, match="has not passed bfloat16"):
        choose_precision(bundle, "bfloat16")
    shutil.copytree(bundle_path, tmp_path / "released")
    (tmp_path / "released" / "bundle.json").unlink()
    gate = {"choices": [{"runtime": "paddle", "precision": "bfloat16"}]}
    released = seal(tmp_path / "released", replace(bundle.manifest, gate=gate))
    try:
        assert choose_precision(released, "bfloat16") == "bfloat16"
    except EnvironmentFault as fault:
        assert "no bfloat16 instructions" in str(fault)  # as it is on this machine


def test_gpus_are_chosen_by_upstreams_numbers():
    assert 'devices: "0"' in config_text(PaddleOptions(device="gpu"))
    text = config_text(PaddleOptions(device="gpu", devices="0,1", processes=2))
    assert "device_type: 1" in text
    assert 'devices: "0,1"' in text
    with pytest.raises(InputError, match="devices"):
        PaddleOptions(devices="all")
    with pytest.raises(InputError, match="give --processes 2 or more with --devices 0,1"):
        PaddleOptions(device="gpu", devices="0,1")


def test_processes_share_the_threads_and_are_as_many_as_was_said():
    lines = config_text(PaddleOptions(processes=2, threads=8, workers=16)).splitlines()
    words = {line.split(":")[0].strip(): line.split(":")[1].split("#")[0].strip() for line in lines if ":" in line}
    assert (words["build_dag_each_worker"], words["worker_num"], words["thread_num"]) == ("true", "2", "4")
    assert words["requests_at_once"] == "16"
    assert "build_dag_each_worker: false" in config_text(PaddleOptions())
    with pytest.raises(InputError, match="processes"):
        PaddleOptions(processes=-1)


def test_a_gpu_that_is_not_there_is_no_reason_to_take_the_cpu(bundle_path, in_serving, tmp_path):
    PaddleDeployment(tmp_path / "published").publish(Bundle(bundle_path), PaddleOptions(device="gpu"))
    ports = PaddlePorts.free()
    words = ("--folder", live_publication(tmp_path / "published"), "--rpc_port", ports.rpc, "--http_port", ports.http)
    done = in_serving("-m", "serving.paddle.service", *words, check=False)
    assert done.returncode != 0
    assert "error: config.yml asks for a GPU: paddlepaddle is installed, which is for CPUs alone" in done.stderr


def test_what_a_killed_publication_left_is_removed(bundle_path, tmp_path):
    (tmp_path / ".1.abcd1234" / "serving_server").mkdir(parents=True)
    (tmp_path / ".live.abcd1234").mkdir()
    (tmp_path / ".live.abcd1234" / "live").symlink_to("1")
    (tmp_path / ".git").mkdir()
    PaddleDeployment(tmp_path).publish(Bundle(bundle_path), PaddleOptions())
    assert {path.name for path in tmp_path.iterdir()} == {".git", "1", "live"}


def test_a_folder_that_is_no_publication_is_left_as_it_is(bundle_path, tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "thesis.tex").touch()
    with pytest.raises(InputError, match="1 is there and no publication; give --paddle_folder a folder of its own"):
        PaddleDeployment(tmp_path).publish(Bundle(bundle_path), PaddleOptions())
    assert [path.name for path in tmp_path.rglob("*")] == ["1", "thesis.tex"]


def test_versions_are_kept_and_the_one_before_is_live_again(bundle_path, tmp_path):
    deployment, bundle = PaddleDeployment(tmp_path), Bundle(bundle_path)
    for workers in (1, 2, 3):
        deployment.publish(bundle, PaddleOptions(workers=workers), kept=2)
    assert [version.number for version in deployment.versions()] == [2, 3]
    assert "requests_at_once: 3" in (tmp_path / "live" / "config.yml").read_text()
    assert deployment.roll_back().options.workers == 2
    assert "requests_at_once: 2" in (tmp_path / "live" / "config.yml").read_text()
    assert (tmp_path / "live").readlink() == Path("2")
    with pytest.raises(InputError, match="there is no version before 2 in"):
        deployment.roll_back()


def test_a_damaged_version_is_not_taken_back(bundle_path, tmp_path):
    deployment, bundle = PaddleDeployment(tmp_path), Bundle(bundle_path)
    for _ in range(2):
        deployment.publish(bundle, PaddleOptions())
    (tmp_path / "1" / "serving_server" / "vocab.txt").write_text("spoilt")
    with pytest.raises(BundleError, match=r"1/serving_server/vocab\.txt is damaged"):
        deployment.roll_back()
    assert deployment.live().number == 2


def test_what_an_earlier_release_published_is_served_and_kept(bundle_path, tmp_path):
    """It lay in the folder itself, and its record had no number."""
    PaddleDeployment(tmp_path / "made").publish(Bundle(bundle_path), PaddleOptions(workers=7))
    earlier = tmp_path / "earlier"
    shutil.copytree(tmp_path / "made" / "1", earlier, ignore=shutil.ignore_patterns(SEAL_FILE))
    record = json.loads((earlier / "published.json").read_text())
    del record["number"]
    (earlier / "published.json").write_text(json.dumps(record))
    deployment = PaddleDeployment(earlier)
    assert (live_publication(earlier), deployment.live().number) == (earlier, 0)
    deployment.publish(Bundle(bundle_path), PaddleOptions())
    assert deployment.roll_back().options.workers == 7
    assert live_publication(earlier) == earlier
    deployment.publish(Bundle(bundle_path), PaddleOptions(), kept=1)
    assert sorted(path.name for path in earlier.iterdir()) == ["2", "live"]


def test_paddle_itself_gives_the_labels_that_the_service_gives(bundle_path, sample_dataset):
    words = ("pipeline/infer.py", "--model_path_prefix", bundle_path, "--data_file", sample_dataset / "test.txt")
    shown = [run_command(*words, "--runtime", runtime).stdout for runtime in ("paddle", "onnxruntime")]
    assert shown[0].count("prediction result") == 200
    paddle, onnxruntime = ([line for line in out.splitlines() if "prediction result" in line] for out in shown)
    assert [set(line.split(": ")[1].split(",")) for line in paddle] == [
        set(line.split(": ")[1].split(",")) for line in onnxruntime
    ]
