"""`python -m serving.paddle` in the foreground: what it repairs, follows and ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from clients.http_client import HttpClient
from pipeline.files.bundle import Bundle
from serving import stop
from serving.paddle.deployment import PaddleDeployment
from serving.paddle.options import PaddleOptions
from serving.paddle.server import PaddlePorts
from serving.process import processes
from tests.conftest import PROJECT
from tests.serving.tiny_model import eventually

TEXT = "某公司宣布裁员两千人"


@pytest.fixture
def command(python39, bundle_path, tmp_path):
    """The launcher, ready, its ports, its folders, and how long it took to be so."""
    ports, folder, state = PaddlePorts.free(), tmp_path / "published", tmp_path / "state"
    PaddleDeployment(folder).publish(Bundle(bundle_path), PaddleOptions())
    words = ["--folder", folder, "--rpc_port", ports.rpc, "--http_port", ports.http, "--state_dir", state]
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "serving.paddle", "--check_seconds", "0.5", *map(str, words)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert "is ready" in process.stdout.readline()
        yield process, ports, folder, state, time.monotonic() - began
    finally:
        process.kill()
        process.communicate()
        stop.main(["--state_dir", str(state)])


def test_a_killed_service_is_back_within_ten_seconds_and_stop_ends_all(command, bundle_path, capsys):
    process, ports, folder, state, start_seconds = command
    worker = processes.listener(ports.rpc)
    started = time.monotonic()
    os.kill(worker, signal.SIGKILL)
    with HttpClient(f"127.0.0.1:{ports.http}", retries=100) as client:
        assert eventually(lambda: processes.listener(ports.http) not in (worker, None))
        assert client.classify([TEXT])
    assert time.monotonic() - started < max(10, 2 * start_seconds)  # others may use the processor
    assert "exit status 137" in process.stdout.readline()
    assert "ready again" in process.stdout.readline()

    PaddleDeployment(folder).publish(Bundle(bundle_path), PaddleOptions(max_batch_size=2))
    assert "a bundle was published" in process.stdout.readline()
    assert "ready again" in process.stdout.readline()
    with HttpClient(f"127.0.0.1:{ports.http}") as client:
        assert client.model().max_batch_size == 2

    stop.main(["--state_dir", str(state)])
    assert process.wait(20) == 0
    assert "stopped paddle-" in capsys.readouterr().out
    assert processes.listener(ports.rpc) is None
    assert processes.listener(ports.http) is None
