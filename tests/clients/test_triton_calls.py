"""Retries, deadlines, several servers and overload, for both clients, against real Triton servers."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections import Counter

import pytest
from tritonclient.utils import InferenceServerException

from clients import triton_calls
from clients.triton import TritonClient
from clients.triton_async import AsyncTritonClient
from clients.triton_calls import Call, Endpoints
from pipeline.errors import InputError, ServerError
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


def test_servers_are_asked_in_turn(stand_in, other_stand_in, client_class):
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


@pytest.fixture
def clock(monkeypatch):
    """The time, to be set."""

    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(triton_calls, "time", clock)
    return clock


def test_an_endpoint_rests_longer_each_time_it_fails_anew(clock):
    endpoints = Endpoints(["a:1", "b:1"], connect=str)
    a, b = endpoints.pick([]), endpoints.pick([])
    for rest in (1.0, 2.0, 4.0, 8.0, 16.0, *[30.0] * 2000):
        endpoints.rest(a)
        endpoints.rest(a)  # seen by two calls, it is one failure
        clock.now += rest - 0.01
        assert [endpoints.pick([]) for _ in range(3)] == [b] * 3
        clock.now += 0.02
        assert {endpoints.pick([]), endpoints.pick([])} == {a, b}
    endpoints.rest(a)
    endpoints.wake(a)
    assert {endpoints.pick([]), endpoints.pick([])} == {a, b}


def test_endpoints_that_all_rest_are_asked_all_the_same(clock):
    endpoints = Endpoints(["a:1", "b:1"], connect=str)
    a, b = endpoints.pick([]), endpoints.pick([])
    endpoints.rest(b)
    clock.now += 0.5
    endpoints.rest(a)
    assert endpoints.pick([]) is b
    assert endpoints.pick([b]) is a


def test_pauses_grow_up_to_a_limit_and_vary(clock):
    unavailable = InferenceServerException("nobody", status="StatusCode.UNAVAILABLE")
    limits = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, *[5.0] * 2000]
    pauses = [[] for _ in limits]
    for _ in range(20):
        call = Call(Endpoints("a:1", connect=str), timeout_seconds=1e6, retries=len(limits))
        for seen in pauses:
            call.attempt()
            seen.append(call.failed(unavailable))
    for seen, limit in zip(pauses, limits):
        assert 0 <= min(seen) < 0.9 * limit
        assert 0.1 * limit < max(seen) <= limit + 1e-9


def test_an_overloaded_server_is_asked_until_the_deadline_unless_nothing_is_to_be_retried(clock):
    overloaded = InferenceServerException("the server is overloaded: ...", status="StatusCode.UNAVAILABLE")
    absent = InferenceServerException("failed to connect", status="StatusCode.UNAVAILABLE")
    call = Call(Endpoints("a:1", connect=str), timeout_seconds=1e6, retries=1)
    for error in [*[overloaded] * 100, absent]:
        call.attempt()
        call.failed(error)
    call.attempt()
    with pytest.raises(ServerError, match="no Triton server answers"):
        call.failed(absent)
    impatient = Call(Endpoints("a:1", connect=str), timeout_seconds=1e6, retries=0)
    impatient.attempt()
    with pytest.raises(ServerError, match="a:1 is overloaded"):
        impatient.failed(overloaded)


def test_no_attempt_is_made_after_the_deadline(clock):
    call = Call(Endpoints("a:1", connect=str), timeout_seconds=1.0, retries=10)
    assert call.attempt() == ("a:1", 1.0)
    clock.now += 0.999_999_9
    with pytest.raises(ServerError, match="no Triton server answers at a:1"):
        call.failed(InferenceServerException("failed to connect", status="StatusCode.UNAVAILABLE"))
