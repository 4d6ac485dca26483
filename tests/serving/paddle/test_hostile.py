"""Requests that no honest client makes: no code of theirs runs, each gets an error, and the next good one an answer."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clients.http_client import HttpClient
from clients.paddle_client import Unavailable
from pipeline.errors import ClassifierError, InputError
from pipeline.service_messages import PARSING, Request, read_request
from serving.paddle.gateway import HttpGateway
from tests.conftest import PROJECT

GARBAGE = random.Random(0).randbytes(5000)
HTTP_CASES = {
    "no JSON": b"sentence=1",
    "binary": GARBAGE,
    "a list": b"[]",
    "deep": b"[" * 100_000,
    "nothing": b"{}",
    "key is a text": b'{"key": "sentence", "value": "x"}',
    "missing value": b'{"key": ["sentence"], "value": []}',
    "value is a number": b'{"key": ["sentence"], "value": [1]}',
    "wrong key": b'{"key": ["text"], "value": ["x"]}',
    "a tensor": b'{"key": [], "value": [], "tensors": [{"name": "sentence", "elem_type": 13, "byte_data": "gASV"}]}',
    "oversized": b'{"key": ["sentence"], "value": ["' + b"x" * (1 << 20) + b'"]}',
    "surrogate": b'{"key": ["sentence"], "value": ["\\ud800\\ud800"]}',
}


@pytest.fixture(autouse=True)
def still_answers(service):
    """After each of these tests a good request is answered by the same process, over both ways."""
    process = service.pid
    yield
    service.check(service.version.expected[0], service.workers()[0])
    assert service.status() is None
    assert service.pid == process


def test_rpc_refuses_everything_and_runs_nothing(service, in_serving, tmp_path):
    trace = tmp_path / "was-here"
    script = Path(__file__).with_name("hostile_rpc.py")
    answers = [json.loads(line) for line in in_serving(script, service.rpc_address, trace).stdout.splitlines()]
    assert len(answers) == 17
    assert [name for name, number, message in answers if not (number and message)] == []
    assert not trace.exists()
    messages = {name: message for name, _, message in answers}
    assert "tensors are not taken" in messages["pickled tensor"]
    assert "unknown key 'text'" in messages["wrong key"]
    assert "1 keys and 0 values" in messages["missing value"]
    assert "at most 128" in messages["too many texts"]
    assert "larger than max" in messages["oversized"]


def test_what_is_wrong_with_requests_fills_no_log(service):
    folder = service.state_dir / service.name / "PipelineServingLogs"
    before = sum(path.stat().st_size for path in folder.iterdir())
    for _ in range(3):
        assert _status(service, b'{"key": ["text"], "value": ["x"]}') == 400
    assert sum(path.stat().st_size for path in folder.iterdir()) == before


def test_the_payload_would_have_created_the_file(in_serving, tmp_path):
    code = "import io, sys, numpy; from tests.serving.paddle.hostile_rpc import pickled; "
    code += "numpy.load(io.BytesIO(pickled(sys.argv[1])), allow_pickle=True)"
    in_serving("-c", code, tmp_path / "was-here")
    assert (tmp_path / "was-here").exists()


@pytest.mark.parametrize("case", HTTP_CASES)
def test_http_answers_each_with_an_error(service, case):
    connection = http.client.HTTPConnection(service.http_address, timeout=10)
    connection.request("POST", "/seq_cls/prediction", HTTP_CASES[case])
    response = connection.getresponse()
    answer = json.load(response)
    assert 400 <= response.status < 500
    assert answer["err_no"] == 5000
    assert answer["err_msg"]
    connection.close()


@pytest.mark.parametrize("method, path, status", [("GET", "/seq_cls/prediction", 501), ("POST", "/../x", 404)])
def test_http_knows_one_path_and_one_method(service, method, path, status):
    connection = http.client.HTTPConnection(service.http_address, timeout=10)
    connection.request(method, path, b"{}")
    response = connection.getresponse()
    assert response.status == status
    assert json.load(response)["err_no"]
    connection.close()


@pytest.mark.parametrize("way", ["rpc", "http"])
def test_binary_garbage_on_a_port_ends_its_connection_alone(service, way):
    port = getattr(service.ports, way)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(GARBAGE)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass


def test_a_body_that_never_comes_is_not_waited_for(service):
    with socket.create_connection(("127.0.0.1", service.ports.http), timeout=10) as connection:
        connection.sendall(b"POST /seq_cls/prediction HTTP/1.1\r\nContent-Length: 100\r\n\r\n{")
        assert b"did not arrive in time" in connection.makefile("rb").read()


def test_idle_connections_do_not_keep_others_out_for_long(service):
    idle = [socket.create_connection(("127.0.0.1", service.ports.http), timeout=10) for _ in range(60)]
    with HttpClient(service.http_address, timeout_seconds=20, retries=20) as client:
        assert client.classify(["某公司宣布裁员两千人"])
    for connection in idle:
        connection.close()


def test_requests_that_never_arrive_over_rpc_keep_nobody_out_and_are_ended(service, in_serving):
    script = Path(__file__).with_name("hostile_rpc.py")
    for _ in range(3):  # the machine may hold up one of them
        (err_no, answered), ended = map(json.loads, in_serving(script, service.rpc_address, 24).stdout.splitlines())
        assert err_no == 0
        assert ended > 1.5
        if answered < 1.5:
            break
    assert answered < 1.5


@pytest.mark.parametrize("piece", [b"X-Slow: 1\r\n", b"x"])
def test_headers_that_come_slowly_are_not_waited_for(service, piece):
    with socket.create_connection(("127.0.0.1", service.ports.http), timeout=0.4) as connection:
        connection.sendall(b"POST /seq_cls/prediction HTTP/1.1\r\n" if b"Slow" in piece else b"POST ")
        begun, answer = time.monotonic(), b""
        while not answer and time.monotonic() - begun < 30:
            connection.sendall(piece)
            with contextlib.suppress(TimeoutError):
                answer = connection.recv(4096)
    assert b"did not arrive in time" in answer
    assert time.monotonic() - begun > 1.5


def test_a_connection_too_many_is_told_so(service):
    idle = [socket.create_connection(("127.0.0.1", service.ports.http), timeout=10) for _ in range(60)]
    with HttpClient(service.http_address, retries=0) as client, pytest.raises(Unavailable, match="too many conn"):
        client.classify(["某公司宣布裁员两千人"])
    for connection in idle:
        connection.close()
    with HttpClient(service.http_address, retries=20) as client:
        assert client.classify(["某公司宣布裁员两千人"])


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 0000000000000000000000017\r\n",
        b"Content-Length: 2\r\nContent-Length: 17\r\n",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Length: +2\r\n",
        b"Content-Length: 2\r\nno header\r\nTransfer-Encoding: chunked\r\n",
    ],
)
def test_where_a_request_ends_is_never_a_matter_of_opinion(service, headers):
    with socket.create_connection(("127.0.0.1", service.ports.http), timeout=10) as connection:
        connection.sendall(b"POST /seq_cls/prediction HTTP/1.1\r\n" + headers + b"\r\n{}GET /other HTTP/1.1\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        answers = connection.makefile("rb").read()
    assert answers.startswith(b"HTTP/1.1 400 ")
    assert answers.count(b"HTTP/1.1 ") == 1


@pytest.fixture
def gateway():
    """An HTTP gateway in this process, which answers whatever it can read."""
    with HttpGateway(("127.0.0.1", 0), lambda fields: {"err_no": 0}, 1 << 20, 4, 5) as gateway:
        threading.Thread(target=gateway.serve_forever, daemon=True).start()
        yield gateway
        gateway.shutdown()


def test_json_is_parsed_one_request_at_a_time_because_it_grows_thirtyfold(gateway):
    def over_http():
        connection = http.client.HTTPConnection("127.0.0.1", gateway.server_port, timeout=10)
        connection.request("POST", "/seq_cls/prediction", b'{"key": [], "value": []}')
        return connection.getresponse().status

    with ThreadPoolExecutor(2) as pool:
        with PARSING:
            waiting = [pool.submit(over_http), pool.submit(read_request, ["sentence"], ['["裁员"]'], 2)]
            time.sleep(0.3)
            assert not any(each.done() for each in waiting)
        assert [each.result(10) for each in waiting] == [200, Request(["裁员"], {})]


def test_too_many_texts_are_counted_before_they_are_looked_at():
    with pytest.raises(InputError, match="send at most 2"):
        read_request(["sentence"], ['["a", 1, 2]'], 2)


def _status(service, body: bytes) -> int:
    connection = http.client.HTTPConnection(service.http_address, timeout=20)
    connection.request("POST", "/seq_cls/prediction", body)
    with connection.getresponse() as response:
        response.read()
        return response.status


def test_an_error_repeats_little_of_what_was_sent(client_error):
    assert len(client_error(top_k="9" * 10_000)) < 300
    assert len(client_error(threshold="x" * 10_000)) < 300


@pytest.fixture
def client_error(service):
    def message(**options: str) -> str:
        with HttpClient(service.http_address) as client, pytest.raises(ClassifierError) as caught:
            client.ask(["sentence", *options], ["裁员", *options.values()], 5)
        return str(caught.value)

    return message


LISTENS_ON = """
set -e
ip link set lo up
ip address add 10.99.0.1/32 dev lo
exec {python} -c '
import socket, sys
from serving.paddle.server import PaddlePorts, PaddleServer
with PaddleServer(sys.argv[1], PaddlePorts(), state_dir=sys.argv[2]) as server:
    server.wait_ready()
    open_to_all = socket.create_server(("0.0.0.0", 7000))
    for port in (server.ports.rpc, server.ports.http, 7000):
        with socket.socket() as caller:
            print(port, caller.connect_ex(("10.99.0.1", port)))
' {folder} {state}
"""


@pytest.mark.skipif(os.getuid() != 0, reason="a network namespace needs root")
def test_another_address_of_the_machine_reaches_neither_port(service, published, tmp_path):
    script = LISTENS_ON.format(python=sys.executable, folder=published, state=tmp_path)
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", script], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    if "ip: " in done.stderr or "unshare: " in done.stderr:
        pytest.skip(f"no network namespace with addresses here: {done.stderr.strip()}")
    refused = os.strerror(111)
    assert done.stdout.split() == ["18090", "111", "9999", "111", "7000", "0"], (refused, done.stderr)
