"""What a connection may do to the process that answers gRPC callers; no Triton is needed."""

import resource
import socket
import time
from pathlib import Path

import pytest

from serving.process.ports import Ports
from serving.triton.front.process import grpc_front
from serving.triton.front.running import FrontSettings
from tests.serving.tiny_model import PATIENCE_SECONDS, eventually
from tests.serving.triton.front.test_calls import HEAD, frame


@pytest.fixture
def front(tmp_path):
    """The process, and its port."""
    port = Ports.free().grpc
    upstream, alive = (str(tmp_path / name) for name in ("triton.sock", "alive.sock"))
    front = grpc_front(FrontSettings("127.0.0.1", port, upstream, 1 << 20, (), "", alive=alive))
    front.start()
    try:
        assert eventually(lambda: front._answers(1.0))
        yield front, port
    finally:
        front.stop()


def resident_bytes(process):
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize()


def test_pings_without_end_take_no_memory(front):
    """Seven megabytes of them took a gigabyte, for good."""
    front, port = front
    before = resident_bytes(front.pid)
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(HEAD)
        for _ in range(200):
            connection.sendall(frame(6, 0, 0, b"12345678") * 2000)
        time.sleep(1)
    assert resident_bytes(front.pid) - before < 100 << 20
    assert front.is_running()
