"""HTTP before a real Triton server: what would end that server gets an answer, and it lives on."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import signal
import socket
import struct
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http

from clients.triton import TritonClient
from pipeline.files.bundle import Bundle
from serving.process import processes
from serving.process.ports import Ports
from serving.triton.admin_key import probe_secret
from tests.serving.passing import PassingServer
from tests.serving.tiny_model import PATIENCE_SECONDS, eventually

KEY = "secret"
FLUSH_SECONDS = 0.7  # the steps hand on what they counted every half second
INFER = "/v2/models/seqcls/infer"


@pytest.fixture(scope="module")
def server(model_repository, tmp_path_factory):
    state = tmp_path_factory.mktemp("front")
    with PassingServer(model_repository, ports=Ports.free(), state_dir=state, admin_key=KEY) as server:
        server.wait_ready()
        yield server


@pytest.fixture(scope="module")
def golden(bundle_path):
    return Bundle(bundle_path).manifest.goldens[0]


@pytest.fixture(autouse=True)
def still_answers(server, golden):
    """After each of these tests the same process answers a good request, over both ways."""
    process = server.pid
    yield
    assert server.status() is None
    assert server.pid == process
    status, answer = ask(server, INFER, request(golden.text))
    assert status == 200
    assert {label for label in json.loads(answer)["outputs"][0]["data"] if label} == set(golden.labels)
    with TritonClient(server.grpc_address) as client:
        assert client.classify([golden.text])[0]


def request(text="某公司宣布裁员两千人", **tensor):
    given = {"name": "INPUT", "datatype": "BYTES", "shape": [1, 1], "data": [text], **tensor}
    return json.dumps({"inputs": [given], "outputs": [{"name": "label"}]}).encode()


def ask(server, path, body=None, headers=None, method=None):
    connection = http.client.HTTPConnection(server.http_address, timeout=PATIENCE_SECONDS)
    connection.request(method or ("GET" if body is None else "POST"), path, body, headers or {})
    response = connection.getresponse()
    status, text = response.status, response.read()
    connection.close()
    return status, text


def raw(server, data):
    """What comes back to bytes that are sent as they are."""
    with socket.create_connection(("127.0.0.1", server.ports.http), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(data)
        return connection.makefile("rb").read()


def in_chunks(body, size):
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    head = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


@pytest.mark.parametrize(
    "body",
    [
        *(request(datatype=kind, shape=[1, 2**63 - 1], data=[1]) for kind in ("FP32", "INT64", "UINT8", "BYTES")),
        b"[" * 40_000,
        b'{"inputs":[],"x":' + b"[" * 40_000 + b"]" * 40_000 + b"}",
        gzip.compress(b" " * 200_000_000, 1, mtime=0),
        request().replace(b'"label"', b'"label", "parameters": {"classification": 1}'),
    ],
    ids=lambda body: repr(body[:8]) + str(len(body)),
)
def test_what_ends_triton_is_refused(server, body):
    packed = {"Content-Encoding": "gzip"} if body[:2] == b"\x1f\x8b" else {}
    status, answer = ask(server, INFER, body, packed)
    assert status == 400
    assert len(json.loads(answer)["error"]) > 20
    peak = Path(f"/proc/{server.fronts[0].pid}/status").read_text().split("VmHWM:")[1].split()[0]
    assert int(peak) < 200_000, "kB"


def test_a_body_may_come_in_some_chunks_and_not_in_a_million(server):
    assert b" 200 OK" in raw(server, in_chunks(request(), 7))
    assert b"in more than 10000 chunks" in raw(server, in_chunks(b"x" * 1_500_000, 1))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked", 400),
        (b"Content-Length: 5\r\nContent-Length: 6", 400),
        (b"Content-Length: -5", 400),
        (b"Content-Length: 99999999999", 413),
        (b"Transfer-Encoding: gzip, chunked", 400),
        (b"Content-Length: 5\r\nContent-Encoding: br", 400),
        (b"Content-Length: 5\r\nInference-Header-Content-Length: 99", 400),
        (b"Content-Length: 5\r\n no header", 400),
        (b"no header\r\nContent-Length: 5", 400),
        (b"X: a\rContent-Length: 5", 400),
        (b"X: a\r\n b\r\nContent-Length: 5", 400),
        (b"Content-Length: 99999999999\r\nExpect: 100-continue", 413),
        (b"X: " + b"x" * 20_000 + b"\r\nContent-Length: 5", 431),
    ],
)
def test_headers_that_two_readers_take_differently_are_refused(server, headers, status):
    head = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n".encode()
    assert f" {status} ".encode() in raw(server, head + headers + b"\r\n\r\nabcde").split(b"\r\n")[0]


@pytest.mark.parametrize(
    "head",
    [
        b"POST /v2/health/ready HTTP/1.1\r\nno header\r\nContent-Length: 5",
        b"GET /v2/health/ready HTTP/1.1\r\nno header\r\nContent-Length: 5",
        b"GET /v2/health/ready HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 5",
        b"HEAD /v2/health/ready HTTP/1.1\r\nContent-Length: 5",
    ],
)
def test_what_follows_a_request_of_unclear_length_is_no_request(server, head):
    answers = raw(server, head + b"\r\n\r\nGET /v2 HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert answers.startswith(b"HTTP/1.1 400 ")
    assert answers.count(b"HTTP/1.1 ") == 1


def test_a_path_that_is_too_long_is_told_so_and_one_nearly_so_reaches_triton(server):
    assert ask(server, "/v2/models/" + "x" * 5000)[0] == 414
    assert ask(server, "/v2", headers={"traceparent": "x" * 6200})[0] == 431
    status, answer = ask(server, "/v2/models/" + "x" * 4000, headers={"traceparent": "x" * 6000, "X": "x" * 9000})
    assert (status, b"unknown model" in answer) == (404, True)


def test_a_body_is_asked_for_once_it_is_wanted(server):
    body = request()
    head = f"POST {INFER} HTTP/1.1\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
    answers = raw(server, head.encode() + body)
    assert answers.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")
    refused = raw(server, head.replace("seqcls", "tokenizer").encode() + body)
    assert refused.startswith(b"HTTP/1.1 403 ")


def test_head_gets_what_get_would_without_the_body(server):
    for path in ("/v2", "/nowhere"):
        answer = raw(server, f"HEAD {path} HTTP/1.1\r\nConnection: close\r\n\r\n".encode())
        status, content = ask(server, path)
        assert answer.startswith(f"HTTP/1.1 {status} ".encode())
        assert f"Content-Length: {len(content)}\r\n".encode() in answer
        assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("packing", [None, "gzip", "deflate"])
def test_tritons_own_client_is_served(server, golden, binary, packing):
    client = tritonclient.http.InferenceServerClient(server.http_address)
    tensor = tritonclient.http.InferInput("INPUT", [1, 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[golden.text.encode()]], object), binary_data=binary)
    wanted = [tritonclient.http.InferRequestedOutput("label", binary_data=binary)]
    how = {"request_compression_algorithm": packing, "response_compression_algorithm": packing}
    labels = client.infer("seqcls", [tensor], outputs=wanted, **how).as_numpy("label")[0]
    assert {each.decode() if binary else each for each in labels} == set(golden.labels)
    assert client.is_model_ready("seqcls")
    assert client.get_server_metadata()["version"].startswith("2.")
    client.close()


def test_components_are_for_the_operator(server):
    for path in (
        "/v2/models/tokenizer/infer",
        "/v2/models/tokenizer/versions/1/infer",
        "/v2/models/tokenizer/generate",
    ):
        for key in ({}, {"admin-key": "wrong"}, {"admin-key": ""}):
            status, answer = ask(server, path, request(), key)
            assert (status, json.loads(answer)["error"][:29]) == (403, "tokenizer is a part of the en")
    status, answer = ask(
        server, "/v2/models/tokenizer/infer", request().replace(b"label", b"input_ids"), {"admin-key": KEY}
    )
    assert status == 200, answer
    assert ask(server, "/v2/models/%74okenizer/infer", request())[0] >= 400


@pytest.mark.parametrize("path", ["/metrics", "/v2/../v2", "/v2/models/seqcls/generate_stream", "http://x/v2"])
def test_other_paths_are_not_passed_on(server, path):
    assert ask(server, path, b"{}")[0] == 404


def test_a_body_where_none_belongs_and_an_unknown_method_are_refused(server):
    assert ask(server, "/v2/health/ready", b"{}", method="GET")[0] == 400
    assert ask(server, "/v2/health/ready", method="DELETE")[0] == 501
    assert ask(server, "/v2/health/ready")[0] == 200
    assert ask(server, "/v2/repository/index", b"{}")[0] == 403
    assert ask(server, "/v2/repository/index", b"", {"admin-key": KEY})[0] == 200


def test_a_caller_that_leaves_cancels_nothing(server):
    body = request()
    head = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    for _ in range(300):
        with socket.create_connection(("127.0.0.1", server.ports.http)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(head + body)


def texts_counted(server):
    with urllib.request.urlopen(f"http://{server.metrics_address}/metrics", timeout=PATIENCE_SECONDS) as metrics:
        lines = metrics.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("text_classifier_texts_total"))


def test_only_who_knows_the_secret_is_not_counted(server, golden):
    secret = probe_secret(KEY)
    with tritonclient.grpc.InferenceServerClient(server.grpc_address) as client:
        tensor = tritonclient.grpc.InferInput("INPUT", [1, 1], "BYTES")
        tensor.set_data_from_numpy(np.array([[golden.text.encode()]], object))

        def settled():
            before = texts_counted(server)
            time.sleep(2 * FLUSH_SECONDS)
            return texts_counted(server) == before

        assert eventually(settled)
        before = texts_counted(server)
        for probe in (secret, True, "true", secret[:-1], KEY, secret):
            client.infer("seqcls", [tensor], parameters={"probe": probe})
        assert eventually(lambda: texts_counted(server) - before >= 4)
        assert eventually(settled)
        assert texts_counted(server) - before == 4
    assert KEY not in secret


def test_where_it_ended_or_hangs_it_is_started_again(server):
    said = []
    for number in (signal.SIGKILL, signal.SIGSTOP):
        ended = server.fronts[0].pid
        os.kill(ended, number)
        if number == signal.SIGKILL:
            assert eventually(lambda: not server.fronts[0].is_running())
        server.fronts[0]._next_check = server.fronts[0]._next_start = 0.0
        for _ in range(3):
            server.fronts[0].keep(said.append)
            server.fronts[0]._next_check = 0.0
        assert server.fronts[0].pid != ended
        assert eventually(lambda: server.ports.http in processes.listening_ports(server.fronts[0].pid))
    assert ["ended; starting it again" in said[0], "answered nothing 3 times in a row" in said[1]] == [True, True]


def test_tritons_own_http_is_for_this_user_alone(server):
    folders = {path.parent for path in server._sockets.values()}
    assert [folder.stat().st_mode & 0o077 for folder in folders] == [0]
    assert processes.listening_ports(server.pid) == {server.ports.metrics}
