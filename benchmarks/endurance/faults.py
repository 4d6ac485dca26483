"""What is done to the servers while they are asked: changes of versions, and processes that die or stand still."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.endurance.load import Load
from benchmarks.endurance.servers import SERVER, SUPERVISOR, Place, RunningServer
from pipeline.errors import ServerError
from serving.folders import PADDLE, TRITON
from serving.triton.configs.ensemble import MODEL, POSTPROCESS, TOKENISER

BRIEF_SECONDS, LONG_SECONDS = 3.0, 30.0
"""That a process stands still: less than a supervisor waits before it starts a server again, and more."""
QUIET_SECONDS, POLL_SECONDS = 6.0, 0.1
"""Between two events, all is as it should be for so long."""


@dataclass
class Event:
    """What was done, by `time.monotonic`.

    Attributes:
        what: in words.
        started, ended: from when, and until when the cause lasted.
        hurts: the servers whose requests may fail by it.
        recovered: seconds from its end until requests of each kind, to both, had been answered rightly again.
    """

    what: str
    started: float
    ended: float = 0.0
    hurts: tuple[str, ...] = ()
    recovered: float | None = None
    said: str = ""


@dataclass
class Faults:
    """Does one thing after the other.

    Args:
        place: where both servers run.
        loads: by server.
        bundles: two, whose identities and folders; the first is live, as version 1.
        patience: by server, seconds until all kinds of requests must be answered rightly again.

    Attributes:
        events: what was done.
    """

    place: Place
    loads: Mapping[str, Load]
    bundles: Sequence[tuple[str, Path]]
    patience: Mapping[str, float]
    events: list[Event] = field(default_factory=list)
    _live: int = 0

    def run(self, seconds: float) -> None:
        """Do what `plan` says, again and again, until no time is left for another."""
        end = time.monotonic() + seconds
        for act in itertools.cycle(self.plan()):
            if time.monotonic() + QUIET_SECONDS > end:
                return
            self._do(act)
            time.sleep(QUIET_SECONDS)

    def plan(self) -> list[Callable[[], Event]]:
        """Each in turn: what every server is to live through first, and what takes long last."""
        triton, paddle = self.place.servers

        def kill(server: RunningServer, kind: str) -> Callable[[], Event]:
            return lambda: self._signal(server, kind, signal.SIGKILL, 0.0)

        def halt(server: RunningServer, kind: str, seconds: float) -> Callable[[], Event]:
            return lambda: self._signal(server, kind, signal.SIGSTOP, seconds)

        return [
            self._publish,
            kill(triton, MODEL),
            self._roll_back,
            kill(paddle, SERVER),
            kill(triton, TOKENISER),
            halt(triton, MODEL, BRIEF_SECONDS),
            halt(paddle, SERVER, BRIEF_SECONDS),
            self._publish,
            kill(triton, POSTPROCESS),
            kill(triton, "gRPC front"),
            kill(triton, "HTTP front"),
            halt(triton, SERVER, BRIEF_SECONDS),
            self._roll_back,
            halt(triton, SUPERVISOR, BRIEF_SECONDS),
            halt(paddle, SUPERVISOR, BRIEF_SECONDS),
            kill(triton, SERVER),
            kill(triton, "guard"),
            kill(paddle, "guard"),
            halt(triton, MODEL, LONG_SECONDS),
            halt(paddle, SERVER, LONG_SECONDS),
        ]

    def _do(self, act: Callable[[], Event]) -> None:
        event = act()
        self.events.append(event)
        deadline = event.ended + max(self.patience.values())
        while time.monotonic() < deadline:
            if all(load.answers_all_since(event.ended) for load in self.loads.values()):
                event.recovered = round(time.monotonic() - event.ended, 1)
                return
            time.sleep(POLL_SECONDS)

    def _signal(self, server: RunningServer, kind: str, number: int, seconds: float) -> Event:
        pids = [pid for pid, found in server.processes().items() if found == kind]
        word = "killed" if number == signal.SIGKILL else f"stopped for {seconds:g} s"
        # Its requests go on while only who watches stands still.
        hurts = () if kind == SUPERVISOR else (server.name,)
        event = Event(f"{server.name} {kind} {word}", time.monotonic(), hurts=hurts)
        for pid in pids[-1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        time.sleep(seconds)
        for pid in pids[-1:] if number == signal.SIGSTOP else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        event.ended = time.monotonic()
        event.said = "" if pids else f"there was no process {kind}"
        return event

    def _publish(self) -> Event:
        return self._change(f"published version {self._newest + 1}", 1, lambda: self.place.publish(self.bundles[1][1]))

    def _roll_back(self) -> Event:
        return self._change("rolled back to version 1", 0, lambda: self.place.roll_back(1))

    @property
    def _newest(self) -> int:
        return 1 + sum(event.what.startswith("published") for event in self.events)

    def _change(self, what: str, target: int, act: Callable[[], None]) -> Event:
        """While it goes on both versions may answer, and afterwards the new one alone.

        Paddle Serving starts anew for it, and takes no requests meanwhile.
        """
        event = Event(what, time.monotonic(), hurts=(PADDLE,))
        old, new = self.bundles[self._live][0], self.bundles[target][0]
        for load in self.loads.values():
            load.versions = frozenset({old, new})
        try:
            act()
            self._live = target
        except ServerError as error:
            event.said = str(error)
        else:
            self.loads[TRITON].versions = frozenset({new})
            if self._paddle_answers_by(new):
                self.loads[PADDLE].versions = frozenset({new})
            else:
                event.said = "Paddle Serving stayed with the version before"
        event.ended = time.monotonic()
        return event

    def _paddle_answers_by(self, identity: str) -> bool:
        deadline = time.monotonic() + self.patience[PADDLE]
        while time.monotonic() < deadline:
            with contextlib.suppress(ServerError):
                if self.loads[PADDLE].client.model().bundle == identity:
                    return True
            time.sleep(POLL_SECONDS)
        return False


def unexplained_failures(faults: Faults) -> Iterator[dict[str, Any]]:
    """Failures that came neither while a cause that hurts the server lasted nor within its patience after it."""
    for server, load in faults.loads.items():
        within = faults.patience[server]
        times = [(each.started, each.ended + within) for each in faults.events if server in each.hurts]
        for moment, kind, said in load.tally.failures:
            if not any(start <= moment <= end for start, end in times):
                yield {"server": server, "kind": kind, "moment": moment, "said": said}
