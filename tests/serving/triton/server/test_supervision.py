"""A server that is watched repairs itself."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time

import pytest

from pipeline.errors import ServerError
from pipeline.files.bundle import Bundle
from serving import health
from serving.process import processes
from serving.process.ports import Ports
from serving.process.restarts import Restarts
from serving.triton import admin_key
from serving.triton.deployment import TritonDeployment
from serving.triton.options import ServingOptions
from serving.triton.repository import ModelRepository
from serving.triton.server.launcher import TritonServer
from serving.triton.server.options import TritonOptions
from tests.serving.bundles import renamed_bundle
from tests.serving.passing import PassingServer
from tests.serving.tiny_model import eventually
from tests.serving.triton.server.watched import Watched


@pytest.fixture
def repository(bundle_path, tmp_path):
    TritonDeployment(ModelRepository(tmp_path / "repository")).publish(Bundle(bundle_path), ServingOptions(instances=2))
    return tmp_path / "repository"


def test_a_model_whose_process_died_is_loaded_again_and_a_server_that_died_started_again(repository, tmp_path):
    with Watched(repository, tmp_path / "state") as watched:
        for model in ("tokenizer", "seqcls_model", "seqcls_postprocess"):
            pid = next(pid for pid, (name, _) in watched.server.stubs().items() if name == model)
            count = len(watched.reports)
            os.kill(pid, signal.SIGKILL)
            assert eventually(lambda: len(watched.reports) == count + 2), watched.reports  # noqa: B023
            assert f"the Python process of model {model} ended" in watched.reports[-2]
            assert f"model {model} answers again after" in watched.reports[-1]
            assert watched.answers()
        first = watched.server.pid
        os.kill(first, signal.SIGKILL)
        assert eventually(lambda: "the server is ready again" in watched.reports[-1])
        assert watched.answers()
        assert watched.server.pid != first
    assert watched.fault is None


def test_a_folder_that_changed_without_the_server_is_no_reason_to_do_anything(repository, bundle_path, tmp_path):
    """As after a publisher that was killed, or one that was not told of this server."""
    with Watched(repository, tmp_path / "state", check_seconds=0.1) as watched:
        other = renamed_bundle(Bundle(bundle_path), tmp_path / "other", "新")
        TritonDeployment(ModelRepository(repository)).publish(other, ServingOptions())
        time.sleep(1.5)
        assert watched.reports == []
        assert health.main(["--server", watched.server.http_address, "--model_repository", str(repository)]) is None
        os.kill(next(pid for pid, (name, _) in watched.server.stubs().items() if name == "tokenizer"), signal.SIGKILL)
        assert eventually(lambda: len(watched.reports) >= 2), watched.reports
        assert eventually(watched.answers)
        assert watched.fault is None


def test_a_start_that_fails_is_tried_again(repository, tmp_path, monkeypatch):
    with Watched(repository, tmp_path / "state") as watched:
        start, failures = TritonServer.start, [ServerError("no memory")]

        def failing(server):
            if failures:
                raise failures.pop()
            start(server)

        monkeypatch.setattr(TritonServer, "start", failing)
        os.kill(watched.server.pid, signal.SIGKILL)
        assert eventually(lambda: bool(watched.reports) and "the server is ready again" in watched.reports[-1])
        assert "no memory; starting the server again" in watched.reports[1]
        assert watched.answers()


def test_a_server_that_is_told_to_stop_while_it_starts_again_stays_stopped():
    class Stopping:
        pid, starts, was_told_to_stop = 1, 0, False

        def stop(self, seconds):
            pass

        def start(self):
            self.starts += 1

        def wait_ready(self, seconds):
            self.was_told_to_stop = True
            raise ServerError("tritonserver ended with exit status 0")

    server, reports = Stopping(), []
    Restarts(server, "server", reports.append, ready_seconds=1, most=3).again("it died")
    assert (server.starts, reports) == (1, ["it died; starting the server again"])


def test_a_server_that_answers_wrongly_is_given_up_after_some_starts(repository, tmp_path):
    with Watched(repository, tmp_path / "state", check_seconds=0.1, max_restarts=1) as watched:
        record = repository / "seqcls_model" / "1" / "version.json"
        version = json.loads(record.read_text())
        version["expected"] = [{**answer, "labels": ["nonsense"]} for answer in version["expected"]]
        record.write_text(json.dumps(version))
        watched.thread.join(30)
        assert not watched.thread.is_alive()
    assert "gives a golden text the labels" in str(watched.fault)
    assert "1 starts in a row did not help" in str(watched.fault)


def test_the_key_is_private_and_needed(repository, tmp_path):
    key = admin_key.read_or_create(tmp_path / "state")
    path = tmp_path / "state" / "admin.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert admin_key.read_or_create(tmp_path / "state") == key
    options = TritonOptions(model_control_mode="explicit", load_model=("*",))
    with PassingServer(
        repository, ports=Ports.free(), state_dir=tmp_path / "state", options=options, admin_key=key
    ) as server:
        server.wait_ready()
        server.control.load("seqcls")
        with pytest.raises(ServerError, match="403"):
            type(server.control)(server.control.address, "wrong").load("seqcls")
        everybody = [" ".join(processes.command_line(int(pid))) for pid in os.listdir("/proc") if pid.isdigit()]
        assert not [line for line in everybody if key in line]
        assert any("admin-key=****" in line for line in everybody)
        assert key not in server.log_path.read_text()
        shutil.rmtree(tmp_path / "state")
        server.keep_record()
        assert admin_key.read(path) == key
    assert key not in server.log()


def test_a_key_that_others_can_read_is_refused(tmp_path):
    admin_key.read_or_create(tmp_path)
    (tmp_path / "admin.key").chmod(0o644)
    with pytest.raises(Exception, match="can be read by others"):
        admin_key.read_or_create(tmp_path)
