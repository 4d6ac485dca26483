"""A log that is bounded and may be moved; a guard that does not end."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import threading
import time

import pytest

from pipeline.errors import EnvironmentFault
from pipeline.local_servers import identity
from serving.process import guard, guarded_server, processes
from serving.process.guarded_server import GuardedServer
from serving.process.record import ProcessRecord
from serving.stop import StopOptions, stop
from tests.serving.tiny_model import eventually

LINE = b"accept failed: too many open files\n"
LONG_SECONDS = 60
"""The patience with a server that must not be waited for: half of it passes on no machine, however busy."""


class Printing(GuardedServer):
    """A server that prints what a shell command says."""

    def __init__(self, folder, command="echo ready; sleep 600", patience_seconds=2):
        super().__init__("triton-1", folder, folder / "server.log", patience_seconds)
        self.command = command

    def start(self):
        self.launch(["/bin/sh", "-c", self.command], os.environ, "/")


@pytest.fixture
def log(tmp_path):
    """A log that is written to by a thread, and the pipe that it comes through."""
    reading, writing = os.pipe()
    path = tmp_path / "run" / "server.log"
    writer = threading.Thread(target=guard.write_log, args=(reading, str(path)))
    writer.start()
    yield path, writing
    os.close(writing)
    writer.join()
    os.close(reading)


def holds(path, content):
    return eventually(lambda: path.exists() and content in path.read_bytes())


def test_a_long_log_is_put_aside(log, monkeypatch):
    monkeypatch.setattr(guard, "LOG_BYTES", 1000 * len(LINE))
    path, writing = log
    for _ in range(50):
        os.write(writing, LINE * 100)
    os.write(writing, b"the end\n")
    assert holds(path, b"the end\n")
    sizes = {each.name: each.stat().st_size for each in path.parent.iterdir()}
    assert sizes.keys() == {"server.log", "server.log.1"}
    assert max(sizes.values()) <= 1000 * len(LINE) + guard.PIECE_BYTES


def test_a_log_that_was_moved_or_removed_is_begun_anew(log):
    path, writing = log
    os.write(writing, b"one\n")
    assert holds(path, b"one\n")
    path.rename(path.with_name("rotated"))
    os.write(writing, b"two\n")
    assert holds(path, b"two\n")
    shutil.rmtree(path.parent)
    os.write(writing, b"three\n")
    assert holds(path, b"three\n")
    assert path.read_bytes() == b"three\n"


def test_a_log_that_cannot_be_written_holds_nobody_up(log):
    path, writing = log
    path.parent.write_text("a file where the folder was")
    for _ in range(100):
        os.write(writing, LINE * 100)
    path.parent.unlink()
    os.write(writing, b"again\n")
    assert holds(path, b"again\n")
    assert path.read_bytes().startswith(b"error: ")
    assert path.read_bytes().count(b"could not be written here (") == 1


def test_a_log_that_cannot_be_put_aside_holds_nobody_up(log, monkeypatch):
    monkeypatch.setattr(guard, "LOG_BYTES", 1000 * len(LINE))
    path, writing = log
    path.parent.mkdir()
    aside = path.with_name("server.log.1")
    aside.mkdir()
    for _ in range(100):
        os.write(writing, LINE * 100)
    aside.rmdir()
    os.write(writing, b"again\n")
    assert holds(path, b"again\n")


def test_a_server_may_open_as_many_files_as_its_user(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, soft), hard))
    try:
        with Printing(tmp_path, "echo may open $(ulimit -n); sleep 600"):
            assert holds(tmp_path / "server.log", b"may open %d\n" % min(hard, guard.MOST_FILES))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_guard_that_was_halted_is_told_to_stop(tmp_path):
    with Printing(tmp_path, patience_seconds=LONG_SECONDS) as server:
        os.kill(server._guard.pid, signal.SIGSTOP)
        os.kill(server.pid, signal.SIGSTOP)
        started = time.monotonic()
    assert time.monotonic() - started < LONG_SECONDS / 2
    assert identity(server.pid) is None


def test_a_guard_that_does_not_end_is_killed_with_all_below_it(tmp_path):
    with Printing(tmp_path, "sleep 601 & sleep 602") as server:
        assert eventually(lambda: len(processes.descendants(server._guard.pid)) == 3)
        below = processes.descendants(server._guard.pid)
        server._wait(0.1)
        assert eventually(lambda: not any(map(identity, below)))


def test_that_it_was_told_to_stop_is_known_while_it_takes_its_time(tmp_path):
    with Printing(tmp_path, "trap 'sleep 1; exit' TERM; echo ready; while :; do sleep 0.1; done") as server:
        assert holds(tmp_path / "server.log", b"ready")
        assert not server.was_told_to_stop
        os.kill(server._guard.pid, signal.SIGTERM)
        assert eventually(lambda: server.was_told_to_stop)
        assert server.status() is None
        assert eventually(lambda: server.status() == 0)
        assert server.was_told_to_stop


def test_at_once_waits_for_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(guarded_server, "KILL_MARGIN_SECONDS", LONG_SECONDS)
    with Printing(tmp_path, "trap '' TERM; echo ready; while :; do sleep 0.1; done", LONG_SECONDS) as server:
        assert holds(tmp_path / "server.log", b"ready")
        started = time.monotonic()
        server.stop(0)
        assert time.monotonic() - started < LONG_SECONDS / 2
    assert identity(server.pid) is None


def test_a_server_that_would_wait_for_a_child_that_has_ended_is_not_waited_for(tmp_path):
    """As Triton does for half a minute, for a Python process; of a child from before `exec` nobody takes notice."""
    with Printing(tmp_path, "trap '' TERM; sleep 0.1 & echo ready; exec sleep 600", LONG_SECONDS) as server:
        assert eventually(lambda: guard.has_dead_child(server.pid))
        started = time.monotonic()
    assert time.monotonic() - started < LONG_SECONDS / 2


def test_a_record_that_was_removed_is_written_again(tmp_path):
    with Printing(tmp_path / "run") as server:
        (tmp_path / "run" / "other.process.json").write_text('{"name": "triton-1", "pid"')
        with pytest.raises(EnvironmentFault, match="whether its server runs cannot be told"):
            ProcessRecord.running(tmp_path / "run")
        shutil.rmtree(tmp_path / "run")
        server.keep_record()
        assert [record.pid for record in ProcessRecord.running(tmp_path / "run")] == [server._guard.pid]


def test_a_record_that_cannot_be_written_now_is_written_later(tmp_path):
    with Printing(tmp_path / "run") as server:
        (tmp_path / "file").write_text("in the way")
        server.state_dir = tmp_path / "file" / "run"
        server.keep_record()
        server.state_dir = tmp_path / "other"
        server.keep_record()
        assert [record.pid for record in ProcessRecord.running(tmp_path / "other")] == [server._guard.pid]
        server.state_dir = tmp_path / "run"


def test_who_stops_a_server_that_is_down_for_a_moment_ends_what_would_start_it(tmp_path):
    server = Printing(tmp_path)
    with server.at_rest():
        [record] = ProcessRecord.running(tmp_path)
        assert record.pid == os.getpid()
    assert stop(StopOptions(state_dir=tmp_path)) == []
