"""The launcher of Triton, with real servers and a tiny model."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import threading
import time
from dataclasses import replace

import pytest

from pipeline.errors import EnvironmentFault, InputError, ServerError
from pipeline.local_servers import identity
from serving.process.guard import remove_shared_memory
from serving.process.ports import Ports
from serving.triton.server.launcher import TritonServer
from serving.triton.server.options import TritonOptions
from tests.serving.tiny_model import NO_VOCABULARY, PATIENCE_SECONDS, SLEEPY_ECHO, eventually, traces, write_model


@pytest.fixture
def server(repository, tmp_path):
    """A started server, stopped after the test."""
    with TritonServer(repository, ports=Ports.free(), state_dir=tmp_path / "run") as started:
        yield started
        with contextlib.suppress(ProcessLookupError):  # the quick way; how to stop gracefully has its own tests
            os.kill(started.pid, signal.SIGKILL)


def ask(server: TritonServer, milliseconds: int) -> tuple[int, dict]:
    connection = http.client.HTTPConnection(server.http_address, timeout=PATIENCE_SECONDS)
    tensor = {"name": "MILLISECONDS", "shape": [1], "datatype": "INT32", "data": [milliseconds]}
    connection.request("POST", "/v2/models/echo/infer", json.dumps({"inputs": [tensor]}))
    response = connection.getresponse()
    status, answer = response.status, json.load(response)
    connection.close()
    return status, answer


def echo(server: TritonServer, milliseconds: int) -> int:
    return ask(server, milliseconds)[1]["outputs"][0]["data"][0]


def echo_until_cut_off(server: TritonServer) -> None:
    status, answer = ask(server, 10**8)
    assert status == 502
    assert "Triton does not answer" in answer["error"]


def is_busy(server: TritonServer) -> bool:
    return (server.model_repository / "echo" / "1" / "busy").exists()


def test_serves_on_loopback_only_and_leaves_nothing(repository, tmp_path):
    with TritonServer(repository, ports=Ports.free(), state_dir=tmp_path / "run") as server:
        assert server.wait_ready() > 0
        assert echo(server, 7) == 7
        for port in (server.ports.grpc, server.ports.http, server.ports.metrics):
            socket.create_connection(("127.0.0.1", port)).close()
            with pytest.raises(ConnectionRefusedError):  # 127.0.0.2 is ours too, where one listens on 0.0.0.0
                socket.create_connection(("127.0.0.2", port))
        assert len(traces(server.shared_memory_prefix)) == 4  # guard, server, the model's process and its region
    assert traces(server.shared_memory_prefix) == []
    assert list((tmp_path / "run").iterdir()) == [server.log_path]
    server.stop()


@pytest.mark.parametrize("name", ["a b", "a$(touch ran)", "a&b", "模型"])
def test_a_model_whose_name_a_shell_would_read_otherwise_is_refused(repository, tmp_path, name):
    write_model(repository, name, SLEEPY_ECHO)
    with pytest.raises(InputError, match="name models by A-Z"):
        TritonServer(repository, ports=Ports.free(), state_dir=tmp_path / "run").start()


def test_two_servers_run_side_by_side(server, repository, tmp_path):
    with TritonServer(repository, ports=Ports.free(), state_dir=tmp_path / "run") as second:
        server.wait_ready()
        second.wait_ready()
        assert (echo(server, 1), echo(second, 2)) == (1, 2)


def test_second_order_to_stop_cuts_requests_off(server):
    server.wait_ready()
    request = threading.Thread(target=echo_until_cut_off, args=(server,))
    request.start()
    assert eventually(lambda: is_busy(server))
    for _ in range(2):
        server._guard.terminate()
        time.sleep(0.2)
    server.stop()
    request.join()
    assert traces(server.shared_memory_prefix) == []


def test_explicit_mode_loads_what_is_named(repository, tmp_path):
    write_model(repository, "broken", NO_VOCABULARY)
    options = TritonOptions(model_control_mode="explicit", load_model=("echo",))
    with TritonServer(repository, ports=Ports.free(), state_dir=tmp_path, options=options) as server:
        server.wait_ready()
        assert echo(server, 3) == 3


def test_accepted_requests_finish(server):
    server.wait_ready()
    answers: list[int] = []
    request = threading.Thread(target=lambda: answers.append(echo(server, 1500)))
    request.start()
    assert eventually(lambda: is_busy(server))
    server.stop()
    request.join()
    assert answers == [1500]


def test_request_that_never_ends_is_cut_off(repository, tmp_path):
    options = TritonOptions(exit_timeout_seconds=1)
    with TritonServer(repository, ports=Ports.free(), state_dir=tmp_path, options=options) as server:
        server.wait_ready()
        request = threading.Thread(target=echo_until_cut_off, args=(server,))
        request.start()
        assert eventually(lambda: is_busy(server))
    request.join()
    assert traces(server.shared_memory_prefix) == []


@pytest.mark.parametrize("service", ["grpc", "http", "metrics"])
def test_taken_port_is_named_with_its_owner(repository, tmp_path, service):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = replace(Ports.free(), **{service: taken.getsockname()[1]})
        with (
            pytest.raises(EnvironmentFault, match=rf"{service} port {taken.getsockname()[1]} .*process {os.getpid()} "),
            TritonServer(repository, ports=ports, state_dir=tmp_path),
        ):
            pass


def test_port_taken_after_the_check(repository, tmp_path, monkeypatch):
    monkeypatch.setattr(Ports, "require_free", lambda *_: None)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = replace(Ports.free(), metrics=taken.getsockname()[1])
        expected = pytest.raises(EnvironmentFault, match=f"'127.0.0.1:{ports.metrics}' already in use")
        with TritonServer(repository, ports=ports, state_dir=tmp_path) as server, expected:
            server.wait_ready()


def test_every_model_that_fails_is_named_with_its_reason(repository, tmp_path):
    write_model(repository, "broken", NO_VOCABULARY)
    write_model(repository, "garbled", "class (")
    write_model(repository, "unreadable", SLEEPY_ECHO)
    (repository / "unreadable" / "config.pbtxt").write_text('name: "unreadable" backend: 7')
    write_model(repository, "dying", "import os; os._exit(3)")
    broken = TritonServer(repository, ports=Ports.free(), state_dir=tmp_path / "run")
    with broken as server, pytest.raises(ServerError) as caught:
        server.wait_ready()
    message = str(caught.value)
    assert re.search(r"model 'broken': ValueError: 词表 vocab.txt is absent \(.*/broken/1/model.py\(4\): init", message)
    assert "model 'garbled': SyntaxError" in message
    assert "model 'unreadable': " in message
    assert "Expected string, got: 7" in message
    assert "model 'dying': Stub process" in message
    assert "echo" not in message
    assert str(server.log_path) in message
    assert traces(server.shared_memory_prefix) == []


def test_server_killed_from_outside(server):
    server.wait_ready()
    os.kill(server.pid, signal.SIGKILL)
    assert eventually(lambda: server.status() == 137)
    assert traces(server.shared_memory_prefix) == []


def test_a_stopped_server_can_be_started_again(server):
    server.wait_ready()
    first = server.pid
    server.stop()
    server.start()
    server.wait_ready()
    assert server.pid != first
    assert echo(server, 5) == 5


def test_guard_killed_takes_the_server_along(server):
    server.wait_ready()
    server._guard.kill()
    assert eventually(lambda: identity(server.pid) is None)
    server.stop()
    assert eventually(lambda: traces(server.shared_memory_prefix) == [])


def test_log_of_the_start_before_is_kept(repository, tmp_path):
    log = tmp_path / "triton.log"
    log.write_text("the start before")
    with TritonServer(repository, ports=Ports.free(), log_path=log, state_dir=tmp_path):
        pass
    assert log.with_name("triton.log.1").read_text() == "the start before"


def test_missing_repository(tmp_path):
    with (
        pytest.raises(InputError, match="nowhere is no folder"),
        TritonServer(tmp_path / "nowhere", state_dir=tmp_path),
    ):
        pass


def test_foreign_shared_memory_is_not_touched():
    with pytest.raises(ValueError, match="not ours"):
        remove_shared_memory("")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Ports(grpc=0), "grpc port 0"),
        (lambda: Ports(http=65536), "http port 65536"),
        (lambda: Ports(grpc=8000), "give each its own"),
        (lambda: TritonOptions(model_control_mode="sometimes"), "'sometimes'; give one of none, explicit, poll"),
        (lambda: TritonOptions(load_model=("echo",)), "--load_model is echo"),
        (lambda: TritonOptions(exit_timeout_seconds=0), "--exit_timeout_seconds is 0"),
        (lambda: TritonServer("models", host="no such host"), "'no such host' is no IPv4 address"),
    ],
)
def test_options_are_validated_when_made(make, message):
    with pytest.raises(InputError, match=message):
        make()
