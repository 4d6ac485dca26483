"""A name that stands for three real Triton servers, which come, go and differ in speed.

The name's addresses are set in place of the machine's resolver, the only part that is not real.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from clients import endpoints
from clients.triton import TritonClient
from clients.triton_async import AsyncTritonClient
from pipeline.errors import ServerError
from serving.process.ports import Ports
from tests.clients.stand_in import says, stand_in_server
from tests.serving.tiny_model import eventually

HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
NAME = "models.test"


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """Three of one port, by their hosts."""
    with ExitStack() as stack:
        ports = Ports.free("0.0.0.0")
        yield {
            host: stack.enter_context(stand_in_server(tmp_path_factory.mktemp("server"), ports=ports, host=host))
            for host in HOSTS
        }


@pytest.fixture
def url(servers, monkeypatch):
    """`host:port` of all three by one name; `known` says which addresses it has."""
    resolve = socket.getaddrinfo

    def look_up(host: Any, port: Any, *further: Any, **options: Any) -> Any:
        if host != NAME:
            return resolve(host, port, *further, **options)
        return [each for known in look_up.known for each in resolve(known, port, *further, **options)]

    look_up.known = list(HOSTS)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return f"{NAME}:{servers[HOSTS[0]].ports.grpc}"


def wait_for(client, count):
    """Ask until so many servers have answered; before the name's first look-up gRPC itself fails to find it."""

    def have_answered():
        with suppress(ServerError):
            client.classify(["text"])
        return len(client.answered()) >= count

    assert eventually(have_answered)


def paced(server, milliseconds):
    (server.model_repository / "seqcls" / "1" / "milliseconds").write_text(str(milliseconds))


def are_asked_alike(stream, monkeypatch):
    """Whether each of the three gets its part of a stream, at the third attempt at the latest."""
    monkeypatch.setattr(endpoints, "SLOW_SECONDS", 60.0)  # the machine may hold up one of them

    def asked():
        return Counter(answer[0].label for _, answer in stream())

    return any(len(counts) == 3 and min(counts.values()) >= 5 for counts in (asked() for _ in range(3)))


def test_all_servers_of_a_name_are_asked_alike(servers, url, monkeypatch):
    with TritonClient(url) as client:
        assert len(Counter(says(client, "where") for _ in range(10))) == 3

    def stream():
        with TritonClient(url) as client:
            return list(client.classify_stream(["where"] * 60, batch_size=1))

    assert are_asked_alike(stream, monkeypatch)


def test_from_asyncio_too(servers, url, monkeypatch):
    async def ask():
        async with AsyncTritonClient(url) as client:
            return [each async for each in client.classify_stream(["where"] * 60, 1)]

    assert are_asked_alike(lambda: asyncio.run(ask()), monkeypatch)


def test_a_server_that_comes_and_is_drained_costs_no_request(servers, url, tmp_path):
    last = servers[HOSTS[2]]
    over = threading.Event()

    counts = Counter()

    def keep_asking(client):
        while not over.is_set():
            counts[says(client, "where")] += 1

    with stand_in_server(tmp_path / "fourth", ports=last.ports, host="127.0.0.4") as fourth:
        socket.getaddrinfo.known.append("127.0.0.4")
        with TritonClient(url, retries=0) as client, ThreadPoolExecutor(3) as threads:
            wait_for(client, 4)
            asking = [threads.submit(keep_asking, client) for _ in range(3)]
            all_asked = eventually(lambda: len(counts) == 4)
            fourth.stop()
            time.sleep(1)
            over.set()
            for each in asking:
                each.result()
    assert all_asked


def test_a_slow_server_does_not_slow_the_others(servers, url):
    slow, *quick = servers.values()
    for server in servers.values():
        paced(server, 500 if server is slow else 10)

    def stream_of(known):
        socket.getaddrinfo.known[:] = known
        with TritonClient(url) as client:
            wait_for(client, len(known))
            started = time.monotonic()
            answers = client.classify_stream(["at_its_pace"] * 200, batch_size=1, in_flight=6)
            asked = Counter(answer[0].label for _, answer in answers)
            return asked[str(slow.model_repository / "seqcls" / "1")], time.monotonic() - started

    _, seconds_of_two = stream_of(HOSTS[1:])
    of_the_slow_one, seconds = stream_of(HOSTS)
    for server in servers.values():
        paced(server, 0)
    print(f"{of_the_slow_one} of 200 by the slow one; {seconds_of_two:.2f} s without it, {seconds:.2f} s with it")
    assert of_the_slow_one < 20  # in turn it would get 67
    assert seconds < 2 * seconds_of_two + 8  # in turn it would be half a minute
