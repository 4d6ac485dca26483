"""Starting a server again, some times in a row."""

from __future__ import annotations

import time
from typing import Any, Callable

from pipeline.errors import ClassifierError


class Restarts:
    """Starts a server again, and gives up after some starts that led to nothing.

    Args:
        server: a `serving.process.guarded_server.GuardedServer` with `wait_ready` and `failure`.
        name: what it is, in words, such as `server`.
        report: takes what is done, a line each.
        ready_seconds: how long a start may take.
        most: starts in a row.

    Attributes:
        count: starts since it last answered; who watches sets it to 0 then.
    """

    def __init__(self, server: Any, name: str, report: Callable[[str], None], ready_seconds: float, most: int) -> None:
        self.count = 0
        self._server, self._name, self._report = server, name, report
        self._ready_seconds, self._most = ready_seconds, most

    def again(self, why: str) -> None:
        """Stop and start the server, unless it is told to stop meanwhile.

        Raises:
            ServerError: it has been started too often.
        """
        started = time.monotonic()
        while True:
            self.count += 1
            if self.count > self._most:
                raise self._server.failure(f"{why}; {self._most} starts in a row did not help")
            self._report(f"{why}; starting the {self._name} again")
            self._server.stop()
            try:
                self._server.start()
                self._server.wait_ready(self._ready_seconds)
                break
            except ClassifierError as error:
                if self._server.was_told_to_stop:
                    return
                why = str(error)
        seconds = time.monotonic() - started
        self._report(f"the {self._name} is ready again after {seconds:.1f} s (process {self._server.pid})")
