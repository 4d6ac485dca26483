"""Retries, deadlines, several servers and overload, for both clients, against real Triton servers."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import time
from collections import Counter

import pytest
from tritonclient import grpc

from clients import endpoints, triton_calls
from clients.in_order import Streams
from clients.triton import TritonClient
from clients.triton_async import AsyncTritonClient
from pipeline.errors import InputError, ServerError
from pipeline.served import ServedModel
from serving.triton.server.options import TritonOptions
from tests.clients.stand_in import busy, refusals, says, stand_in_server

NOBODY = "127.0.0.1:9"


class InItsOwnLoop:
    """An `AsyncTritonClient` that is used like a `TritonClient`, so that both pass the same tests."""

    def __init__(self, *arguments, **options):
        self._loop = asyncio.new_event_loop()
        self._client = AsyncTritonClient(*arguments, **options)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()
        self._loop.close()

    def close(self):
        self._loop.run_until_complete(self._client.close())

    def classify(self, *arguments, **options):
        return self._loop.run_until_complete(self._client.classify(*arguments, **options))

    def server_version(self):
        return self._loop.run_until_complete(self._client.server_version())

    def answered(self):
        return self._loop.run_until_complete(self._client.answered())


@pytest.fixture(params=[TritonClient, InItsOwnLoop], ids=["sync", "asyncio"])
def client_class(request):
    return request.param


def test_what_is_unavailable_twice_is_answered_at_the_third_attempt(stand_in, client_class, request):
    with client_class(stand_in.grpc_address, retries=2) as client:
        assert says(client, f"fail UNAVAILABLE 2 {request.node.name}") == "well"


def test_retries_end(stand_in, client_class, request):
    key = request.node.name
    with client_class(stand_in.grpc_address, retries=1) as client:
        with pytest.raises(ServerError, match="told to fail with UNAVAILABLE"):
            client.classify([f"fail UNAVAILABLE 3 {key}"])
        assert says(client, f"asked_for {key}") == "2"


@pytest.mark.parametrize(
    "code", ["UNKNOWN", "INTERNAL", "NOT_FOUND", "INVALID_ARG", "UNSUPPORTED", "ALREADY_EXISTS", "CANCELLED"]
)
def test_no_other_failure_is_retried(stand_in, client_class, request, code):
    key = request.node.name
    with client_class(stand_in.grpc_address) as client:
        with pytest.raises(InputError if code == "INVALID_ARG" else ServerError, match=f"told to fail with {code}"):
            client.classify([f"fail {code} 3 {key}"])
        assert says(client, f"asked_for {key}") == "1"


def test_a_model_that_is_not_loaded_just_now_is_waited_for(tmp_path, client_class):
    explicit = TritonOptions(model_control_mode="explicit", load_model=("seqcls",))
    with stand_in_server(tmp_path, options=explicit) as server, client_class(server.grpc_address, retries=10) as client:
        server.control.unload("seqcls")
        with (
            client_class(server.grpc_address, retries=0) as hasty,
            pytest.raises(ServerError, match="is not ready .*has no available versions.*ask again in a moment"),
        ):
            hasty.classify(["text"])
        back = threading.Timer(0.5, server.control.load, ["seqcls"])
        back.start()
        assert says(client, "text") == "text"
        back.join()


def test_a_deadline_covers_all_attempts(stand_in, client_class, request):
    with (
        client_class(stand_in.grpc_address, timeout_seconds=0.5, retries=10**6) as client,
        pytest.raises(ServerError, match="told to fail|within 0.5 s"),
    ):
        client.classify([f"fail UNAVAILABLE 1000000 {request.node.name}"])


def test_a_deadline_covers_all_parts_of_a_call(stand_in, client_class, monkeypatch):
    one_by_one = ServedModel(1, "0123456789ab", "2026-01-31T12:00:00Z", "", ("a",), 128, 1)
    monkeypatch.setattr(Streams, "_limits", one_by_one)
    with client_class(stand_in.grpc_address, timeout_seconds=1.5) as client:
        if isinstance(client, InItsOwnLoop):
            client._client._limits = one_by_one
        started = time.monotonic()
        with pytest.raises(ServerError, match="within 1.5 s|timeout expired"):  # a part takes 1.2 s beside three others
            client.classify(["sleep 300"] * 32)
        assert time.monotonic() - started < 6  # all of them take 9.6 s


def test_a_server_without_an_output_is_asked_for_it_once(stand_in, client_class, monkeypatch):
    with client_class(stand_in.grpc_address) as earlier:
        says(earlier, "text")  # what others left in the queue is answered before, and would have this one come again
    wanted = []

    def spied(infer):
        def spy(self, *arguments, **options):
            wanted.append({output.name() for output in options["outputs"]})
            return infer(self, *arguments, **options)

        return spy

    for owner, name in ((grpc.InferenceServerClient, "async_infer"), (grpc.aio.InferenceServerClient, "infer")):
        monkeypatch.setattr(owner, name, spied(getattr(owner, name)))
    with client_class(stand_in.grpc_address) as client:
        for _ in range(3):
            assert says(client, "text") == "text"
    assert ["truncated" in names for names in wanted] == [True, False, False, False]


def test_who_answered_is_told(stand_in, triton, client_class):
    with client_class([stand_in.grpc_address, triton.grpc_address, NOBODY]) as client:
        assert client.answered() == {}
        for _ in range(3):
            client.classify(["text"])
        told = client.answered()
    assert list(told) == [stand_in.grpc_address, triton.grpc_address]
    assert told[stand_in.grpc_address] is None
    assert told[triton.grpc_address].version == 1


def test_the_server_learns_the_deadline(stand_in, client_class):
    with client_class(stand_in.grpc_address, timeout_seconds=20) as client:
        assert 0 < int(says(client, "timeout")) <= 20_000_000
    with (
        busy(stand_in, 2000),
        client_class(stand_in.grpc_address, timeout_seconds=0.2) as hasty,
        pytest.raises(ServerError, match=r"within 0\.2 s|timeout expired"),
    ):
        hasty.classify(["裁员"])


def test_overload_is_not_taken_for_absence(stand_in):
    with TritonClient(stand_in.grpc_address, retries=0) as client, busy(stand_in, 1000):
        refused = refusals(client, "text")
    assert refused
    for message in refused:
        assert message.startswith(f"{stand_in.grpc_address} is overloaded (")
        assert "Exceeds maximum queue size" in message


def test_retries_bring_everything_through_an_overload(stand_in):
    with TritonClient(stand_in.grpc_address, retries=20) as client, busy(stand_in, 500):
        assert refusals(client, "text") == []


def test_nobody_listening_is_said_for_each_server(client_class):
    with (
        client_class([NOBODY, "127.0.0.1:7"], retries=1) as client,
        pytest.raises(ServerError, match=r"(?=.*no Triton server answers at 127\.0\.0\.1:9)(?=.*127\.0\.0\.1:7)"),
    ):
        client.server_version()


def test_servers_are_asked_in_turn(stand_in, other_stand_in, client_class, monkeypatch):
    monkeypatch.setattr(endpoints, "SLOW_SECONDS", 60.0)  # the machine may hold up one of them
    with client_class([stand_in.grpc_address, other_stand_in.grpc_address]) as client:
        asked = Counter(says(client, "where") for _ in range(6))
    assert sorted(asked.values()) == [3, 3]


def test_a_dead_server_is_passed_over(stand_in, client_class):
    with client_class([NOBODY, stand_in.grpc_address], retries=0) as client:
        assert [says(client, "text") for _ in range(5)] == ["text"] * 5


def test_a_server_that_dies_is_passed_over_and_used_again_after_its_return(stand_in, tmp_path, client_class):
    with stand_in_server(tmp_path / "first") as other, client_class(other.grpc_address, retries=10**6) as lonely:
        with client_class([other.grpc_address, stand_in.grpc_address], retries=0) as client:
            assert len({says(client, "where") for _ in range(2)}) == 2
            os.kill(other.pid, signal.SIGKILL)
            assert len({says(client, "where") for _ in range(4)}) == 1
        other.stop()
        with stand_in_server(tmp_path / "again", ports=other.ports):
            assert says(lonely, "text") == "text"


def test_a_server_that_takes_connections_and_says_nothing_is_passed_over(stand_in, client_class, monkeypatch):
    monkeypatch.setattr(triton_calls, "CONNECT_SECONDS", 0.5)
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        with client_class([f"127.0.0.1:{mute.getsockname()[1]}", stand_in.grpc_address]) as client:
            assert says(client, "text") == "text"


def test_a_port_that_is_no_grpc_port_is_named(stand_in):
    with (
        TritonClient(stand_in.http_address, retries=0) as client,
        pytest.raises(ServerError, match="check that this is the server's gRPC port"),
    ):
        client.server_version()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"urls": []}, "there is no server to ask"),
        ({"urls": "http://127.0.0.1:8001"}, r"'http://127\.0\.0\.1:8001': give host:port without a scheme"),
        ({"urls": ["127.0.0.1:8001", "server"]}, "'server': give host:port"),
        ({"timeout_seconds": 0}, "timeout_seconds is 0; give more than 0"),
        ({"timeout_seconds": float("nan")}, "timeout_seconds is nan"),
        ({"timeout_seconds": float("inf")}, "timeout_seconds is inf"),
        ({"retries": -1}, "retries is -1; give 0 or more"),
    ],
)
def test_what_cannot_be_used_is_refused_at_once(client_class, options, message):
    with pytest.raises(InputError, match=message):
        client_class(**options)


def test_a_closed_client_says_so(stand_in, client_class):
    with client_class(stand_in.grpc_address) as client:
        client.server_version()
        client.close()
        with pytest.raises(ServerError, match="closed"):
            client.server_version()
