"""The probe: what it says of a server that answers, of one that does not, and of one that has too much to do."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading

import pytest
from tritonclient import grpc

from pipeline.errors import InputError
from pipeline.files.bundle import Bundle
from serving import health
from serving.golden import Refused
from serving.process.ports import Ports
from serving.triton.control import ServerControl
from serving.triton.deployment import TritonDeployment
from serving.triton.options import ServingOptions
from serving.triton.repository import ModelRepository
from serving.triton.server.options import TritonOptions
from tests.conftest import run_command, run_in_process
from tests.serving.passing import PassingServer
from tests.serving.tiny_model import eventually
from tests.serving.triton.test_requests import request


@pytest.fixture
def server(bundle_path, tmp_path):
    options = ServingOptions(queue_size=1)
    TritonDeployment(ModelRepository(tmp_path / "repository")).publish(Bundle(bundle_path), options)
    with PassingServer(tmp_path / "repository", ports=Ports.free(), state_dir=tmp_path / "state") as server:
        server.wait_ready()
        yield server


def probe(server, *options):
    places = ("--server", server.http_address, "--model_repository", server.model_repository)
    return run_in_process(health.main, *places, *options)


def test_a_server_that_answers_rightly_is_healthy(server):
    places = ("--server", server.http_address, "--model_repository", server.model_repository)
    assert "version 1 (bundle" in run_command("-m", "serving.health", *places, "--ready").stdout


def test_a_server_whose_requests_fail_is_not_though_it_says_that_it_is_ready(server):
    pid = next(pid for pid, (model, _) in server.stubs().items() if model == "seqcls_postprocess")
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: probe(server).returncode == 4)
    assert server.control.is_ready()


def test_a_server_that_answers_wrongly_is_not(server):
    record = server.model_repository / "seqcls_model" / "1" / "version.json"
    version = json.loads(record.read_text())
    version["expected"] = [{"text": "某公司宣布裁员", "labels": ["nonsense"]}]
    record.write_text(json.dumps(version))
    done = probe(server)
    assert done.returncode == 4
    assert "gives a golden text the labels" in done.stderr


def test_a_server_with_too_much_to_do_is_alive_but_not_ready(server, monkeypatch):
    def refuse(*arguments, **options):
        raise Refused("the server is overloaded")

    monkeypatch.setattr(ServerControl, "check", refuse)
    assert probe(server).returncode == 0
    assert "alive, with too much to do" in probe(server).stdout
    assert probe(server, "--ready").returncode == 4


def test_a_real_refusal_is_told_from_a_failure(server):
    """While more than it takes on is sent, the probe sees answers and refusals, and nothing else."""
    texts, faults, done = ["某公司宣布裁员两千人" * 12] * 32, [], threading.Event()

    def load():
        with grpc.InferenceServerClient(server.grpc_address) as client:
            while not done.is_set():
                client.async_infer("seqcls", request(texts), lambda result, error: None)
                done.wait(0.005)

    sender = threading.Thread(target=load)
    sender.start()
    try:
        for _ in range(20):
            try:
                server.control.labels(["某公司宣布裁员"])
            except Refused as error:
                faults.append(str(error))
    finally:
        done.set()
        sender.join()
    assert all("503" in fault for fault in faults)


def test_no_server_and_nothing_published(server, tmp_path):
    server.stop()
    done = probe(server)
    assert done.returncode == 4
    assert "no Triton server answers" in done.stderr
    shutil.rmtree(tmp_path / "repository")
    (tmp_path / "repository").mkdir()
    assert "holds no published model" in probe(server).stderr


def test_options_that_cannot_be_meant(tmp_path):
    (tmp_path / "cert.pem").touch()
    with pytest.raises(InputError, match="give --tls_cert and --tls_key"):
        TritonOptions(tls_cert=tmp_path / "cert.pem")
    with pytest.raises(InputError, match=r"there is no file .*key\.pem"):
        TritonOptions(tls_cert=tmp_path / "cert.pem", tls_key=tmp_path / "key.pem")
    with pytest.raises(InputError, match="--trace_endpoint is 'collector:4318'; give a URL"):
        TritonOptions(trace_endpoint="collector:4318")
    with pytest.raises(InputError, match="--trace_one_in is 0"):
        TritonOptions(trace_endpoint="http://127.0.0.1:4318/v1/traces", trace_one_in=0)
