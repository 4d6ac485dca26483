"""The processes that answer callers, as the launcher sees them."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict

from serving.folders import PROJECT
from serving.process.ports import LOOPBACK
from serving.process.restarts import Pauses
from serving.triton.front import door
from serving.triton.front.running import PARTING_SECONDS, FrontSettings

CHECK_SECONDS, ANSWER_SECONDS, FAILURES_IN_A_ROW = 5.0, 5.0, 3
STOP_SECONDS, HANGING_SECONDS = PARTING_SECONDS + 2.0, 0.5


class FrontProcess:
    """Starts and ends a module that answers callers; it ends by itself once this process is gone.

    Args:
        module: such as `serving.triton.front.door`.
        way: what it answers, in words.
        settings: where it listens, and what for.
        answers: whether it answers anything at all within so many seconds; Triton is not asked.

    Attributes:
        pid: 0 before the first start.
    """

    def __init__(self, module: str, way: str, settings: FrontSettings, answers: Callable[[float], bool]) -> None:
        self._module, self.way, self._settings, self._answers = module, way, settings, answers
        self._process: subprocess.Popen[str] | None = None
        self.pid = 0
        self._failures, self._pauses, self._next_check, self._next_start = 0, Pauses(), 0.0, 0.0

    def start(self) -> None:
        """Start it; it listens a moment after this returns."""
        paths = (str(PROJECT), os.environ.get("PYTHONPATH"))
        self._process = subprocess.Popen(
            [sys.executable, "-m", self._module],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            env={"GRPC_VERBOSITY": "NONE", **os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            start_new_session=True,  # Ctrl-C is the launcher's affair, which lets accepted requests finish
        )
        self.pid = self._process.pid
        assert self._process.stdin
        with self._process.stdin as standard_input:
            standard_input.write(json.dumps(asdict(self._settings)) + "\n")

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def keep(self, report: Callable[[str], None]) -> None:
        """Start it again where it has ended or answers nothing; to be called often, and `report` takes what is done."""
        now = time.monotonic()
        why = f"what answers {self.way} (process {self.pid}) ended"
        if self.is_running():
            if now < self._next_check:
                return
            self._next_check = now + CHECK_SECONDS
            self._failures = 0 if self._answers(ANSWER_SECONDS) else self._failures + 1
            if self._failures < FAILURES_IN_A_ROW:
                if not self._failures:
                    self._pauses.reset()
                return
            why = f"what answers {self.way} (process {self.pid}) answered nothing {self._failures} times in a row"
        if now >= self._next_start:
            report(f"{why}; starting it again")
            self._failures, self._next_start = 0, now + self._pauses.next()
            self.stop(HANGING_SECONDS)
            self.start()

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """End it once it has given the answers that it has, for which it has so long; doing it twice is fine."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def http_front(settings: FrontSettings) -> FrontProcess:
    """What answers HTTP callers."""
    return FrontProcess(door.__name__, "HTTP", settings, lambda seconds: _answers_http(settings, seconds))


def grpc_front(settings: FrontSettings) -> FrontProcess:
    """What answers gRPC callers; its module is only named here, as gRPC and processes that fork do not go together."""
    return FrontProcess("serving.triton.front.calls", "gRPC", settings, lambda seconds: _answers(settings, seconds))


def _answers_http(settings: FrontSettings, seconds: float) -> bool:
    """Whether it answers, were it that there are too many connections."""
    host = LOOPBACK if settings.host == "0.0.0.0" else settings.host
    connection = http.client.HTTPConnection(host, settings.port, timeout=seconds)
    try:
        connection.request("GET", "/alive")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def _answers(settings: FrontSettings, seconds: float) -> bool:
    """Whether it has an ear for who connects to its Unix socket, and hangs up."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(seconds)
        try:
            connection.connect(settings.alive)
            connection.recv(1)
        except OSError:
            return False
    return True
