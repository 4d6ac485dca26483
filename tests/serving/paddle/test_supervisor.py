"""When the supervisor starts a service again, and when it lets it be."""

from __future__ import annotations

import itertools
import os
import signal
import threading

import pytest

from clients.http_client import HttpClient
from clients.paddle_client import TooLate, Unavailable
from pipeline.errors import ServerError
from pipeline.files.bundle import Bundle
from serving.paddle.deployment import PaddleDeployment
from serving.paddle.options import PaddleOptions
from serving.paddle.publication import live_publication
from serving.paddle.server import PaddleSupervisor

TEXT = "某公司宣布裁员两千人,昨日某地一辆货车与客车相撞"


class Restarted(Exception):
    """What `_restart` would have done."""


class Watching(PaddleSupervisor):
    """A supervisor that restarts nothing."""

    def _restart(self, why: str) -> None:
        raise Restarted(why)


@pytest.fixture
def watching(service):
    return Watching(service, print, silent_seconds=0)


@pytest.mark.parametrize("error", [Unavailable("too many requests"), TooLate("after 5 s")])
def test_a_service_that_answers_others_is_busy_and_not_broken(service, watching, monkeypatch, error):
    def refuse(expected):
        raise error

    monkeypatch.setattr(service, "check", refuse)
    with HttpClient(service.http_address) as client:
        for _ in range(4):
            client.classify([TEXT])
            watching._check()
    with pytest.raises(Restarted, match="nobody got an answer"):
        watching._check()


def test_wrong_labels_twice_in_a_row_are_no_overload(service, watching, monkeypatch):
    answers = itertools.chain([ServerError("wrong"), None], itertools.repeat(ServerError("wrong")))

    def check(expected):
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
            watching._check()
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
        watching._silent_seconds = 5
        for _ in range(5):
            over.wait(0.3)
            watching._check()
    finally:
        over.set()
        for thread in threads:
            thread.join()
