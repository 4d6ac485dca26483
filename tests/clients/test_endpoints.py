"""Which server is asked when, and how often: by a clock that is set."""

import socket
import threading
from collections import Counter
from concurrent.futures import Future

import pytest
from tritonclient.utils import InferenceServerException

from clients import endpoints as endpoints_module
from clients import triton_calls
from clients.endpoints import Endpoints
from clients.triton_calls import Call
from clients.triton_request import classification
from pipeline.errors import InputError, ServerError

A, B, C = "127.0.0.1:1", "127.0.0.2:1", "127.0.0.3:1"


@pytest.fixture
def clock(monkeypatch):
    """The time, to be set."""

    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(triton_calls, "time", clock)
    monkeypatch.setattr(endpoints_module, "time", clock)
    return clock


def of(*urls):
    """Endpoints whose connections are their addresses."""
    return Endpoints(urls, lambda endpoint: endpoint.url)


def test_an_endpoint_rests_longer_each_time_it_fails_anew(clock):
    endpoints = of(A, B)
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
    endpoints = of(A, B)
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
        call = Call(of(A), timeout_seconds=1e6, retries=len(limits))
        for seen in pauses:
            call.attempt()
            seen.append(call.failed(unavailable))
    for seen, limit in zip(pauses, limits):
        assert 0 <= min(seen) < 0.9 * limit
        assert 0.1 * limit < max(seen) <= limit + 1e-9


def test_an_overloaded_server_is_asked_until_the_deadline_unless_nothing_is_to_be_retried(clock):
    overloaded = InferenceServerException("the server is overloaded: ...", status="StatusCode.UNAVAILABLE")
    absent = InferenceServerException("failed to connect", status="StatusCode.UNAVAILABLE")
    call = Call(of(A), timeout_seconds=1e6, retries=1)
    for error in [*[overloaded] * 100, absent]:
        call.attempt()
        call.failed(error)
    call.attempt()
    with pytest.raises(ServerError, match="no Triton server answers"):
        call.failed(absent)
    impatient = Call(of(A), timeout_seconds=1e6, retries=0)
    impatient.attempt()
    with pytest.raises(ServerError, match=f"{A} is overloaded"):
        impatient.failed(overloaded)


def test_an_output_that_is_refused_is_left_out_for_a_while_in_the_time_that_is_left(clock):
    refused = InferenceServerException("unexpected inference output 'truncated'", status="StatusCode.INVALID_ARGUMENT")
    request = classification(["text"])
    endpoints = of(A, B)
    call = Call(endpoints, timeout_seconds=10.0, retries=0)
    endpoint, _ = call.attempt()
    assert endpoint.worded(request) == request
    clock.now += 4
    assert call.failed(refused) == 0.0
    assert call.attempt() == (endpoint, 6.0)
    assert [output.name() for output in endpoint.worded(request)["outputs"]] == ["label", "confidence"]
    with pytest.raises(InputError, match="unexpected inference output"):
        call.failed(refused)
    clock.now += 60
    assert endpoint.worded(request) == request


def test_no_attempt_is_made_after_the_deadline(clock):
    call = Call(of(A), timeout_seconds=1.0, retries=10)
    endpoint, seconds = call.attempt()
    assert (endpoint.connection, seconds) == (A, 1.0)
    clock.now += 0.999_999_9
    with pytest.raises(ServerError, match=f"no Triton server answers at {A}"):
        call.failed(InferenceServerException("failed to connect", status="StatusCode.UNAVAILABLE"))


def test_the_server_with_the_fewest_requests_under_way_is_asked(clock):
    endpoints = of(A, B, C)
    answers = [Future() for _ in range(7)]
    asked = []
    for answer in answers:
        asked.append(endpoints.pick([]))
        endpoints.follow(asked[-1], answer, texts=1)
    assert [each.url for each in asked] == [A, B, C, A, B, C, A]
    for answer, endpoint in zip(answers, asked):
        if endpoint.url == B:
            answer.set_result("quick")
    for _ in range(2):
        endpoint = endpoints.pick([])
        assert endpoint.url == B
        endpoints.follow(endpoint, Future(), texts=1)


def ask(clock, endpoints, seconds, texts=1, error=None):
    """A request that is over after the seconds; which server got it."""
    endpoint, answer = endpoints.pick([]), Future()
    endpoints.follow(endpoint, answer, texts)
    clock.now += seconds
    answer.set_exception(error) if error else answer.set_result("answer")
    return endpoint.url


def test_a_server_that_fails_at_once_is_not_taken_for_a_quick_one(clock):
    endpoints = of(A, B)
    for _ in range(8):
        assert ask(clock, endpoints, 0.001, error=RuntimeError("failed")) == A
        assert ask(clock, endpoints, 0.25) == B


def test_what_failed_for_good_at_one_server_is_asked_of_others_first(clock):
    endpoints = of(A, B)
    call = Call(endpoints, timeout_seconds=10.0, retries=3)
    assert call.attempt()[0].url == A
    with pytest.raises(ServerError, match="onnx"):
        call.failed(InferenceServerException("onnx runtime failed", status="StatusCode.INTERNAL"))
    assert [endpoints.pick([]).url for _ in range(3)] == [B] * 3


def test_a_large_request_does_not_make_a_server_slow_for_small_ones(clock):
    endpoints = of(A, B)
    assert ask(clock, endpoints, 0.5, texts=32) == A
    asked = Counter(ask(clock, endpoints, 0.03) for _ in range(20))
    assert asked == {A: 10, B: 10}


@pytest.mark.parametrize("url", ["h:port", "host:", ":1", "localhost:99999999", "localhost:0", "http://host:1", "host"])
def test_an_address_without_host_or_port_is_refused(url):
    with pytest.raises(InputError, match="give host:port without a scheme"):
        of(url)


def test_a_server_that_is_named_twice_is_one(clock, names):
    names["models.test"] = ["127.0.0.1", "127.0.0.9"]
    endpoints = of(A, A, "models.test:1")
    asked(endpoints)
    names["look_up"]()
    assert asked(endpoints) == {A: 6, "127.0.0.9:1": 6}


@pytest.fixture
def names(monkeypatch):
    """What each name stands for, to be set; whoever asks for names waits for those that are being looked up."""
    known, threads = {}, []

    class Thread(threading.Thread):
        def start(self):
            super().start()
            threads.append(self)

    def look_up(host, port, **_):
        if host not in known:
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET6 if ":" in each else socket.AF_INET, 1, 6, "", (each, port)) for each in known[host]]

    monkeypatch.setattr(endpoints_module.socket, "getaddrinfo", look_up)
    monkeypatch.setattr(endpoints_module.threading, "Thread", Thread)
    known["look_up"] = lambda: [thread.join() for thread in threads]
    return known


def asked(endpoints, times=12):
    return Counter(endpoints.pick([]).url for _ in range(times))


def test_a_name_of_several_addresses_is_as_many_servers_and_looked_up_again(clock, names):
    closed = []
    endpoints = Endpoints(["models.test:1", B], lambda endpoint: f"to {endpoint.url}", closed.append)
    names["models.test"] = ["10.0.0.2", "10.0.0.1", "10.0.0.2"]
    assert endpoints.pick([]).url == "models.test:1"  # until the look-up is done
    names["look_up"]()
    assert asked(endpoints) == {"10.0.0.1:1": 4, "10.0.0.2:1": 4, B: 4}
    assert {endpoints.pick([]).name for _ in range(3)} == {"models.test:1", B}
    names["models.test"] = ["10.0.0.2", "10.0.0.3"]
    clock.now += 31
    asked(endpoints)
    names["look_up"]()
    assert asked(endpoints) == {"10.0.0.2:1": 4, "10.0.0.3:1": 4, B: 4}
    assert closed == ["to models.test:1"]
    clock.now += 31
    asked(endpoints)
    assert closed == ["to models.test:1", "to 10.0.0.1:1"]
    assert sorted(endpoints.close()) == ["to 10.0.0.2:1", "to 10.0.0.3:1", f"to {B}"]


def test_the_connection_of_a_server_that_is_gone_stays_until_its_requests_are_answered(clock, names):
    closed, answer = [], Future()
    endpoints = Endpoints("models.test:1", lambda endpoint: endpoint.url, closed.append)
    names["models.test"] = ["10.0.0.1", "10.0.0.2"]
    endpoints.follow(endpoints.pick([]), answer, texts=1)
    names["look_up"]()
    for _ in range(3):
        asked(endpoints)
        clock.now += 31
    assert closed == []
    answer.set_result("late")
    asked(endpoints)
    assert closed == ["models.test:1"]


def test_a_server_that_fails_has_its_name_looked_up_soon(clock, names):
    endpoints = Endpoints("models.test:1", lambda endpoint: endpoint.url)
    names["models.test"] = ["10.0.0.1", "10.0.0.2"]
    asked(endpoints)
    names["look_up"]()
    failing = endpoints.pick([])
    names["models.test"] = ["10.0.0.3", "10.0.0.4"]
    endpoints.rest(failing)
    clock.now += 1.1
    asked(endpoints)
    names["look_up"]()
    assert asked(endpoints) == {"10.0.0.3:1": 6, "10.0.0.4:1": 6}


@pytest.mark.parametrize(
    ("found", "servers"),
    [
        (["10.0.0.1"], {"models.test:1"}),
        (["::1", "127.0.0.1"], {"models.test:1"}),  # one server, as localhost is
        (["fe80::1", "10.0.0.1", "10.0.0.2"], {"10.0.0.1:1", "10.0.0.2:1"}),
        (["fd00::1", "fd00::2", "10.0.0.1", "10.0.0.2"], {"[fd00::1]:1", "[fd00::2]:1"}),
        (None, {"models.test:1"}),
    ],
)
def test_addresses_are_servers_only_where_one_family_has_several(clock, names, found, servers):
    if found:
        names["models.test"] = found
    endpoints = Endpoints("models.test:1", lambda endpoint: endpoint.url)
    asked(endpoints)
    names["look_up"]()
    assert set(asked(endpoints)) == servers


def test_a_proxy_finds_what_it_is_asked_for(clock, names, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://proxy.test:3128")
    endpoints = Endpoints("models.test:1", lambda endpoint: endpoint.url)
    names["models.test"] = ["93.184.216.34", "93.184.216.35"]
    asked(endpoints)
    names["look_up"]()
    assert set(asked(endpoints)) == {"models.test:1"}
