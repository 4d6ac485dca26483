"""Starting a server again, and again, at growing intervals."""

from __future__ import annotations

import time
from typing import Any, Callable

from pipeline.errors import ClassifierError

POLL_SECONDS, AGAIN_SECONDS = 0.2, 1.0
"""How often a supervisor looks whether its server runs, and asks again where it got no answer."""
FAILURES_IN_A_ROW = 2
"""So many golden texts in a row fail before something is done: one may fall into a change of versions."""
PARTING_SECONDS = 3.0
"""That accepted requests have when a server is started again that answers wrongly; one that hangs would take longer."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0


class Pauses:
    """The seconds before each start in a row: none before the first two, and then twice as many as before the last."""

    def __init__(self) -> None:
        self._starts = 0

    def next(self) -> float:
        """What is to pass before the start that comes now."""
        doublings = self._starts - 2
        self._starts += 1
        return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(doublings, 9)) if doublings >= 0 else 0.0

    def reset(self) -> None:
        """What was started works: the next start is the first in a row."""
        self._starts = 0


class Restarts:
    """Starts a server again, after `Pauses`, as often as it becomes ready, and gives up after some starts in vain.

    Args:
        server: a `serving.process.guarded_server.GuardedServer` with `wait_ready` and `failure`.
        name: what it is, in words, such as `server`.
        report: takes what is done, a line each.
        ready_seconds: how long a start may take.
        most: starts in a row that lead to nothing.
    """

    def __init__(self, server: Any, name: str, report: Callable[[str], None], ready_seconds: float, most: int) -> None:
        self._server, self._name, self._report = server, name, report
        self._ready_seconds, self._most = ready_seconds, most
        self._pauses, self._in_vain = Pauses(), 0

    def answered(self) -> None:
        """The server has given a right answer: starts are counted from 0 again."""
        self._pauses.reset()
        self._in_vain = 0

    def again(self, why: str, parting_seconds: float | None = None, until_right: bool = False) -> None:
        """Stop and start the server, unless it is told to stop meanwhile.

        Args:
            why: what is the matter, in words.
            parting_seconds: that requests have which it has accepted; None for as long as at any other stop.
            until_right: it answers, but wrongly; so that it becomes ready is no sign that the start has helped.

        Raises:
            ServerError: so many starts in a row have led to nothing.
        """
        started = time.monotonic()
        while True:
            self._in_vain += 1
            if self._in_vain > self._most:
                raise self._server.failure(f"{why}; {self._most} starts in a row did not help")
            self._rest(why)
            if self._server.was_told_to_stop:
                return
            self._server.stop(parting_seconds)
            try:
                self._server.start()
                self._server.wait_ready(self._ready_seconds)
                break
            except ClassifierError as error:
                if self._server.was_told_to_stop:
                    return
                why = str(error)
        if not until_right:
            self._in_vain = 0
        seconds = time.monotonic() - started
        self._report(f"the {self._name} is ready again after {seconds:.1f} s (process {self._server.pid})")

    def _rest(self, why: str) -> None:
        """Say what comes, and let the pause pass that the starts since the last answer ask for."""
        seconds = self._pauses.next()
        self._report(f"{why}; starting the {self._name} again" + (f" in {seconds:g} s" if seconds else ""))
        if seconds:
            with self._server.at_rest():
                time.sleep(seconds)
