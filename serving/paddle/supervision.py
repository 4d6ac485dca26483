"""Watch the Paddle Serving service and start it again where it has to be."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable

from clients.paddle_client import TooLate, Unavailable
from pipeline.errors import ClassifierError, ServerError
from pipeline.files.bundle import Bundle
from serving.paddle.configuration import MODEL_FOLDER
from serving.paddle.heartbeat import Worker
from serving.paddle.publication import PaddleVersion, live_publication, read_publication
from serving.paddle.server import PaddleServer
from serving.process import processes
from serving.process.restarts import AGAIN_SECONDS, FAILURES_IN_A_ROW, PARTING_SECONDS, POLL_SECONDS, Restarts
from serving.process.standstill import Standstill


class PaddleSupervisor:
    """Keeps the service answering: starts it again when it ends, answers wrongly or not at all, or is to be renewed.

    Args:
        server: a server that is ready.
        report: takes what happened and what was done about it, a line each.
        check_seconds: how often a golden text is asked.
        ready_seconds: how long a start may take.
        max_restarts: starts in a row after which it is not ready, or answers wrongly, before it gives up.
        standstill: makes what judges a process of the service that does not answer.
    """

    def __init__(
        self,
        server: PaddleServer,
        report: Callable[[str], None],
        check_seconds: float = 5.0,
        ready_seconds: float = 60.0,
        max_restarts: int = 3,
        standstill: Callable[[], Standstill] = Standstill,
    ) -> None:
        self.server, self._report = server, report
        self._check_seconds = check_seconds
        self._standstills: dict[Worker, Standstill] = defaultdict(standstill)
        self._restarts = Restarts(server, "service", report, ready_seconds, max_restarts)
        self._failures = 0
        self._refused: PaddleVersion | None = None
        self._said = ""
        self._turn = 0

    def run(self) -> None:
        """Watch until the service is told to stop; raises ServerError where it cannot be repaired."""
        next_check = time.monotonic() + self._check_seconds
        while (status := self.server.status()) != 0:
            if status is not None:
                self._restart(f"the service (process {self.server.pid}) ended with exit status {status}")
            elif not self.server.was_told_to_stop and time.monotonic() >= next_check:
                next_check = time.monotonic() + self._check()
            time.sleep(POLL_SECONDS)

    def _check(self) -> float:
        """Ask one process a golden text, and start the service again where it is time; the seconds until the next."""
        served = self.server.version
        assert served is not None
        self.server.keep_record()
        if self._published_since(served):
            self._restarts.answered()
            self._restart("a bundle was published")
            return self._check_seconds
        workers = self.server.workers()
        worker = workers[self._turn % len(workers)]
        standstill = self._standstills[worker]
        standstill.begin(self._processor_seconds(worker))
        try:
            self.server.check(served.expected[self._turn % len(served.expected)], worker)
        except (Unavailable, TooLate) as error:
            seconds = standstill.since(worker.last_beat(), self._processor_seconds(worker))
            if seconds is not None:
                self._restart(f"nobody got an answer for {seconds:.0f} s ({error})", parting_seconds=0)
            return min(AGAIN_SECONDS, self._check_seconds)
        except ServerError as error:
            self._failures += 1
            if self._failures >= FAILURES_IN_A_ROW:
                self._restart(str(error), PARTING_SECONDS, until_right=True)
        else:
            self._failures = 0
            self._turn += 1
            standstill.answered(worker.last_beat())
            self._restarts.answered()
        return self._check_seconds

    def _processor_seconds(self, worker: Worker) -> float:
        door = worker.door()
        return processes.processor_seconds(door[0] if door else self.server.pid)

    def _published_since(self, served: PaddleVersion) -> bool:
        try:
            folder = live_publication(self.server.folder)
            latest = read_publication(folder)
            if latest in (served, self._refused):
                return False
            self._refused = latest
            Bundle(folder / MODEL_FOLDER)  # while what is loaded goes on
        except ClassifierError as error:
            if str(error) != self._said:
                self._report(f"what was published cannot be served, the service stays with what it has: {error}")
            self._said = str(error)
            return False
        self._refused, self._said = None, ""
        return True

    def _restart(self, why: str, parting_seconds: float | None = None, until_right: bool = False) -> None:
        before = self.server.version
        self._restarts.again(why, parting_seconds, until_right)
        if self.server.version and self.server.version != before:
            self._report(f"now answering with {self.server.version.in_words}")
        self._failures = 0
        self._standstills.clear()
