"""How often a server is started again."""

from __future__ import annotations

import contextlib

import pytest

from pipeline.errors import ServerError
from serving.process import restarts
from serving.process.restarts import Restarts


class Server:
    """One that becomes ready, or says why not."""

    pid, was_told_to_stop = 1, False

    def __init__(self, faults=()):
        self.faults, self.starts = list(faults), 0

    def stop(self, seconds):
        pass

    def start(self):
        self.starts += 1

    def wait_ready(self, seconds):
        if self.faults:
            raise self.faults.pop(0)

    def failure(self, what):
        return ServerError(what)

    def at_rest(self):
        return contextlib.nullcontext()


@pytest.fixture
def pauses(monkeypatch):
    taken: list[float] = []
    monkeypatch.setattr(restarts.time, "sleep", taken.append)
    return taken


def test_a_server_that_becomes_ready_is_never_given_up(pauses):
    server, reports = Server(), []
    again = Restarts(server, "server", reports.append, ready_seconds=1, most=3)
    for _ in range(10):
        again.again("it died")
    assert server.starts == 10
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]
    again.answered()
    again.again("it died")
    assert reports[-2] == "it died; starting the server again"
    assert len(pauses) == 8


def test_one_that_does_not_become_ready_is(pauses):
    server = Server([ServerError("no memory")] * 9)
    with pytest.raises(ServerError, match="no memory; 3 starts in a row did not help"):
        Restarts(server, "server", print, ready_seconds=1, most=3).again("it died")
    assert server.starts == 3


def test_so_is_a_ready_one_that_answers_wrongly(pauses):
    server = Server()
    again = Restarts(server, "server", print, ready_seconds=1, most=3)
    for _ in range(3):
        again.again("wrong labels", until_right=True)
    with pytest.raises(ServerError, match="wrong labels; 3 starts in a row did not help"):
        again.again("wrong labels", until_right=True)
