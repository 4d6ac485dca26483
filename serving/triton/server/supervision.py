"""Watch a Triton server and repair it.

Triton does not start the process of a Python-backend model again when it has died, and goes on saying that it is
ready. So three things are watched: that the server runs, that every model of the live version has its processes, and,
every few seconds, that a golden text gets its labels. What died is loaded again; where that does not help, the server
is started again.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable

from pipeline.errors import ClassifierError, ServerError
from serving.golden import Refused
from serving.process.restarts import Restarts
from serving.triton.configs.ensemble import COMPONENTS, MODEL
from serving.triton.repository import ModelRepository, TritonVersion
from serving.triton.server.launcher import TritonServer
from serving.triton.server.log import LogFollower

POLL_SECONDS = 0.2
FAILURES_IN_A_ROW = 2
"""So many golden texts in a row fail before something is done: one may fall into a change of versions."""


class Supervisor:
    """Keeps a server answering.

    Args:
        server: a server that is ready.
        report: takes what happened and what was done about it, a line each.
        on_line: takes each new line of the server's log.
        check_seconds: how often a golden text is asked.
        ready_seconds: how long a start may take.
        max_restarts: starts in a row that do not lead to a right answer before it gives up.
    """

    def __init__(
        self,
        server: TritonServer,
        report: Callable[[str], None],
        on_line: Callable[[str], None],
        check_seconds: float = 5.0,
        ready_seconds: float = 60.0,
        max_restarts: int = 3,
    ) -> None:
        self.server, self._report, self._on_line = server, report, on_line
        self._check_seconds = check_seconds
        self._repository = ModelRepository(server.model_repository)
        self._restarts = Restarts(server, "server", report, ready_seconds, max_restarts)
        self._failures = 0
        self._turns = itertools.count()
        self._served: TritonVersion | None = None
        self._look()

    def run(self) -> None:
        """Watch until the server is told to stop; raises ServerError where it cannot be repaired."""
        follower = LogFollower(self.server.log_path)
        next_check = time.monotonic() + self._check_seconds
        while True:
            for line in follower.new_lines():
                self._on_line(line)
            status = self.server.status()
            if status == 0:
                return
            self.server.front.keep(self._report)
            if status is not None:
                self._restart(f"tritonserver (process {self.server.pid}) ended with exit status {status}")
                follower = LogFollower(self.server.log_path)
            elif models := self._dead_models():
                self._reload(models)
            elif time.monotonic() >= next_check:
                self._check()
                next_check = time.monotonic() + self._check_seconds
            time.sleep(POLL_SECONDS)

    def _look(self) -> None:
        """Find out which version the server answers by: the folder may say another, published without telling it."""
        try:
            number = self.server.control.pinned_version()
            self._served = None if number is None else self._repository.version(number)
        except (ClassifierError, OSError):  # it does not answer, or the version is gone from the folder
            self._served = None

    def _models_without_process(self) -> list[str]:
        if self._served is None:
            return []
        running = Counter(self.server.stubs().values())
        wanted = {model: 1 for model in COMPONENTS} | {MODEL: self._served.options.model_processes}
        return [model for model in COMPONENTS if running[model, str(self._served.number)] < wanted[model]]

    def _dead_models(self) -> list[str]:
        dead = self._models_without_process()
        if dead:
            self._look()  # or the version has changed
            dead = self._models_without_process()
        return dead

    def _check(self) -> None:
        self._look()
        if self._served is None:
            return
        expected = self._served.expected
        try:
            self.server.control.check([expected[next(self._turns) % len(expected)]])
            self._restarts.count = self._failures = 0
        except Refused:
            pass  # it has more to do than it can, and says so
        except ServerError as error:
            self._failures += 1
            if self._failures >= FAILURES_IN_A_ROW:
                self._restart(str(error))

    def _reload(self, models: list[str]) -> None:
        """Load models whose process died; their requests fail until then, each after a second."""
        names, started = ", ".join(models), time.monotonic()
        if self.server.status() is not None or not self.server.control.is_ready():
            return  # it is on its way out, and its processes with it
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
            self._restart(str(error))

    def _restart(self, why: str) -> None:
        self._restarts.again(why)
        self._failures = 0
        self._look()
