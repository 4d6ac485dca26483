"""The process that answers HTTP callers, as the launcher sees it."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict

from serving.folders import PROJECT
from serving.triton.front import door
from serving.triton.front.door import FrontSettings

CHECK_SECONDS, ANSWER_SECONDS, FAILURES_IN_A_ROW = 5.0, 5.0, 3
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0
STOP_SECONDS = door.PARTING_SECONDS + 2.0


class FrontProcess:
    """Starts and ends `serving.triton.front.door`; it ends by itself once this process is gone.

    Args:
        settings: where it listens, and what for.
        address: host:port to ask it at.

    Attributes:
        pid: 0 before the first start.
    """

    def __init__(self, settings: FrontSettings, address: str) -> None:
        self._settings, self._address = settings, address
        self._process: subprocess.Popen[str] | None = None
        self.pid = 0
        self._failures, self._pause, self._next_check, self._next_start = 0, FIRST_PAUSE_SECONDS, 0.0, 0.0

    def start(self) -> None:
        """Start it; it listens a moment after this returns."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", door.__name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")])},
            start_new_session=True,  # Ctrl-C is the launcher's affair, which lets accepted requests finish
        )
        self.pid = self._process.pid
        assert self._process.stdin
        with self._process.stdin as standard_input:
            standard_input.write(json.dumps(asdict(self._settings)) + "\n")

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def answers(self, seconds: float) -> bool:
        """Whether it answers anything at all, were it that there are too many connections; Triton is not asked."""
        connection = http.client.HTTPConnection(self._address, timeout=seconds)
        try:
            connection.request("GET", "/alive")
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return True

    def keep(self, report: Callable[[str], None]) -> None:
        """Start it again where it has ended or answers nothing; to be called often, and `report` takes what is done."""
        now = time.monotonic()
        why = f"what answers HTTP (process {self.pid}) ended"
        if self.is_running():
            if now < self._next_check:
                return
            self._next_check = now + CHECK_SECONDS
            self._failures = 0 if self.answers(ANSWER_SECONDS) else self._failures + 1
            if self._failures < FAILURES_IN_A_ROW:
                self._pause = self._pause if self._failures else FIRST_PAUSE_SECONDS
                return
            why = f"what answers HTTP (process {self.pid}) answered nothing {self._failures} times in a row"
        if now >= self._next_start:
            report(f"{why}; starting it again")
            self._failures, self._next_start = 0, now + self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
            self.stop()
            self.start()

    def stop(self) -> None:
        """End it once it has given the answers that it has; doing it twice is fine."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
