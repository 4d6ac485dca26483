"""A server that has much to do is let be, one that hangs is started again, one whose log is gone goes on."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time

import pytest

from clients.triton import TritonClient
from pipeline.errors import ServerError
from pipeline.files.bundle import Bundle
from serving.process.standstill import Standstill
from serving.triton import control
from serving.triton.deployment import TritonDeployment
from serving.triton.options import ServingOptions
from serving.triton.repository import ModelRepository
from serving.triton.server import supervision
from tests.serving.tiny_model import eventually
from tests.serving.triton.server.watched import TEXT, Watched

SLOW = """
    def execute(self, requests):
        orders = Path(__file__).with_name("orders")
        if orders.exists():
            import time
            kind, seconds, *times = orders.read_text().split()
            if times:
                orders.unlink()
            end = time.monotonic() + float(seconds)
            while time.monotonic() < end:
                time.sleep(0.05 * (kind == "wait"))
"""


@pytest.fixture
def repository(bundle_path, tmp_path):
    """A repository whose model takes its time, computing or waiting, once a file beside it says so."""
    deployment = TritonDeployment(ModelRepository(tmp_path / "repository"))
    deployment.publish(Bundle(bundle_path), ServingOptions(max_batch_size=2))
    model = tmp_path / "repository" / "seqcls_model" / "1" / "model.py"
    code = model.read_text(encoding="utf-8")
    model.write_text(code.replace("    def execute(self, requests):\n", SLOW, 1), encoding="utf-8")
    return tmp_path / "repository"


@pytest.fixture
def watched(repository, tmp_path, monkeypatch):
    monkeypatch.setattr(supervision, "GOLDEN_SECONDS", 1.0)
    monkeypatch.setattr(supervision, "STATE_SECONDS", 0.5)
    monkeypatch.setattr(supervision, "AGAIN_SECONDS", 0.1)
    standstill = Standstill(idle_seconds=3, silent_seconds=60)
    with Watched(repository, tmp_path / "state", check_seconds=0.3, standstill=standstill) as watched:
        yield watched
    assert watched.fault is None


def stub(watched, wanted):
    return next(pid for pid, (model, _) in watched.server.stubs().items() if model == wanted)


@pytest.mark.parametrize(("orders", "callers"), [("compute 9 once", 1), ("wait 0.4", 20)])
def test_a_golden_text_that_waits_behind_others_is_no_reason_to_start_again(watched, repository, orders, callers):
    """Behind one request that takes long, and behind many, none of which takes much of the processor."""
    (repository / "seqcls_model" / "1" / "orders").write_text(orders)
    failed = []

    def ask():
        try:
            with TritonClient(watched.server.grpc_address) as client:
                client.classify([TEXT, TEXT])
        except ServerError as error:
            failed.append(error)

    threads = [threading.Thread(target=ask) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert watched.reports == []


@pytest.mark.parametrize("halted", ["server", "tokenizer", "seqcls_model", "seqcls_postprocess"])
def test_what_hangs_is_started_again(watched, halted):
    first = watched.server.pid
    os.kill(first if halted == "server" else stub(watched, halted), signal.SIGSTOP)
    assert eventually(lambda: len(watched.reports) == 2, 60), watched.reports
    assert "nobody got an answer for" in watched.reports[0] or "is not healthy" in watched.reports[0]
    assert "the server is ready again" in watched.reports[1]
    assert watched.server.pid != first
    assert watched.answers()


def test_a_server_whose_folder_is_moved_and_log_removed_goes_on(watched):
    state, first = watched.server.state_dir, watched.server.pid
    watched.server.log_path.rename(watched.server.log_path.with_name("rotated"))
    time.sleep(0.5)
    shutil.rmtree(state)
    time.sleep(0.5)
    os.kill(stub(watched, "tokenizer"), signal.SIGKILL)
    assert eventually(lambda: "model tokenizer answers again" in "".join(watched.reports)), watched.reports
    assert watched.server.pid == first
    sockets = [os.readlink(each.path) for each in os.scandir(f"/proc/{stub(watched, 'tokenizer')}/fd")]
    assert [each for each in sockets if each.startswith("socket:")] == []  # of the server, which has been serving
    assert eventually(lambda: "loaded 'tokenizer'" in watched.server.log())
    assert eventually(lambda: len(list(state.glob("*.process.json"))) == 1)
    os.kill(first, signal.SIGKILL)
    assert eventually(lambda: "the server is ready again" in watched.reports[-1])


def test_publishing_to_a_server_that_hangs_ends_soon(repository, bundle_path, tmp_path, monkeypatch):
    monkeypatch.setattr(control, "LIVE_SECONDS", 0.3)
    watched = Watched(repository, tmp_path / "state", check_seconds=60)
    with watched.server as server:
        server.wait_ready()
        os.kill(server.pid, signal.SIGSTOP)
        started = time.monotonic()
        with pytest.raises(control.Unreachable, match="it fell silent|timed out"):
            TritonDeployment(ModelRepository(repository), [server.control]).publish(
                Bundle(bundle_path), ServingOptions()
            )
        assert time.monotonic() - started < 60  # a load may take 300
        assert ModelRepository(repository).live().number == 1
        server.stop(0)
