"""A door that many callers try to fill."""

from __future__ import annotations

import http.client
import select
import socket
import threading

import pytest

from serving.process.arrivals import BODIES, FREE_BYTES
from serving.process.http_door import HttpDoor
from serving.process.http_handler import DoorHandler
from tests.serving.tiny_model import eventually

MOST_BYTES = 4 * FREE_BYTES


class Sized(DoorHandler):
    """Answers with the size of a body, and with 200 to everything that can be read."""

    most_chunks = 100

    @staticmethod
    def error(status, message):
        return {"error": message}

    def do_POST(self):
        size = len(self.read_body())
        self.answer_in_turn(lambda: (200, str(size).encode(), {}))


@pytest.fixture
def door():
    with HttpDoor(("127.0.0.1", 0), Sized, MOST_BYTES, 16, 20) as door:
        threading.Thread(target=door.serve_forever, daemon=True).start()
        yield door
        door.shutdown()


def ask(door, body, chunked=False):
    connection = http.client.HTTPConnection("127.0.0.1", door.server_port, timeout=20)
    connection.request("POST", "/", iter([body]) if chunked else body)
    with connection.getresponse() as response:
        return response.status, response.headers.get("Retry-After"), response.read()


def test_slow_large_bodies_leave_memory_and_small_requests_alone(door):
    head = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % MOST_BYTES
    slow = [socket.create_connection(("127.0.0.1", door.server_port), timeout=20) for _ in range(2 * BODIES)]
    for connection in slow:
        connection.sendall(head + b"x" * (MOST_BYTES - 1))
    assert eventually(lambda: len(select.select(slow, [], [], 0)[0]) >= BODIES // 2)
    for chunked in (True, False):
        status, later, answer = ask(door, b"x" * MOST_BYTES, chunked)
        assert (status, later) == (503, "1")
        assert b"too many large requests" in answer
        assert ask(door, b"x" * FREE_BYTES, chunked) == (200, None, b"%d" % FREE_BYTES)
    for connection in slow:
        connection.close()
    assert eventually(lambda: ask(door, b"x" * MOST_BYTES)[0] == 200)
    assert eventually(lambda: door.bodies.left == BODIES * MOST_BYTES)
