"""Watch a Triton server and repair it.

Triton does not start the process of a Python-backend model again when it has died, and goes on saying that it is
ready. So three things are watched: that the server runs, that every model of the live version has its processes, and,
every few seconds, that a golden text gets its labels. What died is loaded again; where that does not help, or the
server stands still, it is started again. While others get answers, a golden text without one is no fault.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections import Counter
from collections.abc import Callable

from pipeline.errors import ClassifierError, ServerError
from serving.golden import GOLDEN_SECONDS, Refused
from serving.process import processes
from serving.process.restarts import AGAIN_SECONDS, FAILURES_IN_A_ROW, PARTING_SECONDS, POLL_SECONDS, Restarts
from serving.process.standstill import Standstill
from serving.triton.backend.counts import texts_answered
from serving.triton.configs.ensemble import COMPONENTS, MODEL
from serving.triton.control import Unreachable
from serving.triton.options import NATIVE
from serving.triton.repository import ModelRepository, TritonVersion
from serving.triton.server.launcher import TritonServer
from serving.triton.server.log import LogFollower, is_noteworthy

STATE_SECONDS = 5.0
"""That the server may take to tell which version it serves."""
SHOWN_LINES = 20
"""Of the log, of those that came since the last look: a fault may repeat itself thousands of times a second."""


class Supervisor:
    """Keeps a server answering.

    Args:
        server: a server that is ready.
        report: takes what happened and what was done about it, a line each.
        on_line: takes the new lines of the server's log that a person should see.
        check_seconds: how often a golden text is asked.
        ready_seconds: how long a start may take.
        max_restarts: starts in a row after which it is not ready, or answers wrongly, before it gives up.
        standstill: judges a server that does not answer.
    """

    def __init__(
        self,
        server: TritonServer,
        report: Callable[[str], None],
        on_line: Callable[[str], None],
        check_seconds: float = 5.0,
        ready_seconds: float = 60.0,
        max_restarts: int = 3,
        standstill: Standstill | None = None,
    ) -> None:
        self.server, self._report, self._on_line = server, report, on_line
        self._check_seconds, self._standstill = check_seconds, standstill or Standstill()
        self._repository = ModelRepository(server.model_repository)
        self._restarts = Restarts(server, "server", report, ready_seconds, max_restarts)
        self._failures = 0
        self._turns = itertools.count()
        self._served: TritonVersion | None = None
        self._try_to_look()
        self._told: TritonVersion | None = self._served
        self._standstill.answered(self._answered())

    def run(self) -> None:
        """Watch until the server is told to stop; raises ServerError where it cannot be repaired."""
        follower = LogFollower(self.server.log_path)
        next_check = time.monotonic() + self._check_seconds
        while True:
            self._pass_on(follower.new_lines())
            status = self.server.status()
            if status == 0:
                return
            for front in self.server.fronts:
                front.keep(self._report)
            if status is not None:
                self._restart(f"tritonserver (process {self.server.pid}) ended with exit status {status}")
            elif self.server.was_told_to_stop:
                pass  # it answers what it has accepted, and nobody else
            elif (models := self._dead_models()) and self.server.control.is_ready():
                self._reload(models)
            elif time.monotonic() >= next_check:
                next_check = time.monotonic() + self._check()
            time.sleep(POLL_SECONDS)

    def _pass_on(self, lines: list[str]) -> None:
        noteworthy = list(filter(is_noteworthy, lines))
        for line in noteworthy[:SHOWN_LINES]:
            self._on_line(line)
        if len(noteworthy) > SHOWN_LINES:
            self._report(f"{len(noteworthy) - SHOWN_LINES} further warnings and errors are in {self.server.log_path}")

    def _look(self) -> None:
        """Find out which version the server answers by: the folder may say another, published without telling it.

        Raises:
            Unreachable: the server does not answer.
        """
        try:
            number = self.server.control.pinned_version(STATE_SECONDS)
            self._served = None if number is None else self._repository.version(number)
        except Unreachable:
            raise
        except (ClassifierError, OSError):  # there is no ensemble, or the version is gone from the folder
            self._served = None

    def _try_to_look(self) -> None:
        with contextlib.suppress(Unreachable):
            self._look()

    def _models_without_process(self) -> list[str]:
        if self._served is None:
            return []
        running = Counter(self.server.stubs().values())
        wanted = {model: 1 for model in COMPONENTS} | {MODEL: self._served.options.model_processes}
        return [model for model in COMPONENTS if running[model, str(self._served.number)] < wanted[model]]

    def _dead_models(self) -> list[str]:
        dead = self._models_without_process()
        if dead:
            self._try_to_look()  # or the version has changed
            dead = self._models_without_process()
        return dead

    def _check(self) -> float:
        """Ask a golden text, and start the server again where it is time; the seconds until the next check."""
        self.server.keep_record()
        self._standstill.begin(self._processor_seconds())
        is_known = False
        try:
            self._look()
            is_known = True
            if self._served is not None:
                self._tell()
                expected = self._served.expected
                golden = expected[next(self._turns) % len(expected)]
                self.server.control.check([golden], seconds=GOLDEN_SECONDS)
                self._restarts.answered()
            self._standstill.answered(self._answered())
            self._failures = 0
        except (Refused, Unreachable) as error:
            # One that does not even tell its state has no ear for new callers, whatever it answers to others.
            mark = self._answered() if is_known else None
            seconds = self._standstill.since(mark, self._processor_seconds())
            if seconds is not None:
                self._restart(f"nobody got an answer for {seconds:.0f} s ({error})", parting_seconds=0)
            return min(AGAIN_SECONDS, self._check_seconds)
        except ServerError as error:
            self._failures += 1
            if self._failures >= FAILURES_IN_A_ROW:
                self._restart(str(error), PARTING_SECONDS, until_right=True)
        return self._check_seconds

    def _tell(self) -> None:
        """Say when another version answers than before."""
        if self._served and self._served != self._told:
            self._report(f"now answering with {self._served.in_words}")
            self._told = self._served

    def _answered(self) -> int | None:
        return texts_answered(self.server.pid, self._served.number) if self._served else None

    def _processor_seconds(self) -> float:
        """What has been used by the processes that compute: the models', and the server's own with a native backend."""
        if self._served and self._served.options.backend == NATIVE:
            return processes.processor_seconds(self.server.pid)
        return sum(map(processes.processor_seconds, processes.children(self.server.pid)))

    def _reload(self, models: list[str]) -> None:
        """Load models whose process died; their requests fail until then, each after a second."""
        names, started = ", ".join(models), time.monotonic()
        if self.server.status() is not None:
            return  # its processes have gone with it
        self._report(f"the Python process of model {names} ended; loading it again")
        served = self._served
        assert served is not None  # or no model would be missed
        try:
            for model in models:
                self._repository.touch(model, served.number)  # what is loaded and unchanged is not loaded again
                self.server.control.load(model)
            if self._models_without_process():
                raise ServerError(f"model {names} is still without a process")
            self.server.control.check(served.expected[:1])
            self._report(f"model {names} answers again after {time.monotonic() - started:.1f} s")
        except ClassifierError as error:
            self._restart(str(error), PARTING_SECONDS)

    def _restart(self, why: str, parting_seconds: float | None = None, until_right: bool = False) -> None:
        self._restarts.again(why, parting_seconds, until_right)
        self._failures = 0
        self._try_to_look()
        self._standstill.answered(self._answered())
