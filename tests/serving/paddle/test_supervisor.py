"""When the supervisor starts a service again, and when it lets it be."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import threading
import time

import pytest

from clients.http_client import HttpClient
from clients.paddle_client import Overloaded, TooLate, Unavailable
from pipeline.errors import ServerError
from pipeline.files.bundle import Bundle
from pipeline.local_servers import identity
from serving.paddle.deployment import PaddleDeployment
from serving.paddle.options import PaddleOptions
from serving.paddle.publication import live_publication
from serving.paddle.server import PaddlePorts, PaddleServer
from serving.paddle.supervision import PaddleSupervisor
from serving.process.standstill import Standstill

TEXT = "某公司宣布裁员两千人,昨日某地一辆货车与客车相撞"


class Restarted(Exception):
    """What `_restart` would have done."""


class Watching(PaddleSupervisor):
    """A supervisor that restarts nothing."""

    def _restart(self, why: str, *how: float, **more: float) -> None:
        raise Restarted(why)


@pytest.fixture
def watching(service):
    return Watching(service, print, standstill=lambda: Standstill(idle_seconds=0.5, silent_seconds=60))


def check_often(watching):
    for _ in range(20):
        watching._check()
        time.sleep(0.1)


@pytest.mark.parametrize("error", [Unavailable("too many requests"), TooLate("after 5 s")])
def test_a_service_that_answers_others_is_busy_and_not_broken(service, watching, monkeypatch, error):
    def refuse(expected, worker):
        raise error

    monkeypatch.setattr(service, "check", refuse)
    with HttpClient(service.http_address) as client:
        for _ in range(4):
            client.classify([TEXT])
            watching._check()
    with pytest.raises(Restarted, match="nobody got an answer"):
        check_often(watching)


def test_wrong_labels_twice_in_a_row_are_no_overload(service, watching, monkeypatch):
    answers = itertools.chain([ServerError("wrong"), None], itertools.repeat(ServerError("wrong")))

    def check(expected, worker):
        if error := next(answers):
            raise error

    monkeypatch.setattr(service, "check", check)
    for _ in range(3):
        watching._check()
    with pytest.raises(Restarted, match="wrong"):
        watching._check()


def test_a_service_that_stands_still_is_found(service, watching, monkeypatch):
    monkeypatch.setattr("serving.paddle.server.GOLDEN_SECONDS", 0.3)
    os.kill(service.pid, signal.SIGSTOP)
    try:
        with pytest.raises(Restarted, match="nobody got an answer"):
            check_often(watching)
    finally:
        os.kill(service.pid, signal.SIGCONT)


def test_a_damaged_publication_does_not_replace_what_serves(service, published, bundle_path, tmp_path, monkeypatch):
    said = []
    watching = Watching(service, said.append)
    monkeypatch.setattr(service, "folder", tmp_path / "published")
    PaddleDeployment(service.folder).publish(Bundle(bundle_path), PaddleOptions())
    graph = next((live_publication(service.folder) / "serving_server").glob("*.pdiparams"))
    content = graph.read_bytes()
    graph.write_bytes(content[:-1])
    for _ in range(2):
        watching._check()
    [line] = said
    assert "stays with what it has" in line
    assert graph.name in line
    PaddleDeployment(service.folder).publish(Bundle(bundle_path), PaddleOptions(workers=5))
    with pytest.raises(Restarted, match="published"):
        watching._check()


def test_more_callers_than_the_service_takes_do_not_make_it_restart(service, watching, monkeypatch):
    monkeypatch.setattr("serving.paddle.server.GOLDEN_SECONDS", 0.2)
    over = threading.Event()

    def ask() -> None:
        with HttpClient(service.http_address, retries=0) as client:
            while not over.is_set():
                try:
                    client.classify([TEXT * 4] * 128)
                except ServerError:
                    over.wait(0.02)

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            over.wait(0.3)
            watching._check()
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_connections_that_are_all_taken_leave_the_golden_text_its_own(service, watching):
    """Bad requests reach no model, so nobody gets an answer; the service is none the worse."""
    bad = b"POST /seq_cls/prediction HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"
    taken = []
    try:
        while True:
            connection = socket.create_connection(("127.0.0.1", service.ports.http), timeout=5)
            taken.append(connection)
            connection.sendall(bad)
            if b" 503 " in connection.recv(1000):
                break
        with HttpClient(service.http_address, retries=0) as client, pytest.raises(Overloaded, match="too many connec"):
            client.classify([TEXT])
        for _ in range(5):
            watching._check()
            time.sleep(0.2)
        assert watching._turn == 5
    finally:
        for connection in taken:
            connection.close()


@pytest.mark.slow
def test_one_process_of_several_that_hangs_is_found(python39, bundle_path, tmp_path, monkeypatch):
    monkeypatch.setattr("serving.paddle.server.GOLDEN_SECONDS", 1)
    PaddleDeployment(tmp_path / "published").publish(Bundle(bundle_path), PaddleOptions(processes=2))
    with PaddleServer(tmp_path / "published", PaddlePorts.free(), state_dir=tmp_path / "state") as server:
        server.wait_ready()
        watching = Watching(server, print, standstill=lambda: Standstill(idle_seconds=0.5, silent_seconds=60))
        for _ in range(4):
            watching._check()
        process, _ = server.workers()[1].door()
        os.kill(process, signal.SIGSTOP)
        with pytest.raises(Restarted, match="nobody got an answer"):
            check_often(watching)
        server.stop(0)
        assert identity(process) is None
