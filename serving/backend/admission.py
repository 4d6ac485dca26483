"""How much a server takes on: its first step refuses what would wait too long, its last one tells what is answered.

Triton can bound the queue of a model itself. Once it does (2.51), it hands a request that comes while the model
computes over only when another one comes later, or after half a second; without a bound, as soon as the model is free.
So the steps bound what is under way, by a count that they share. The first passes on in `ADMISSION`, in each row of a
request: how many texts had been admitted with it; how many of these, the earliest, cannot be under way any more; and
when its caller stops waiting, in nanoseconds of `time.monotonic_ns`, or 0.
"""

from __future__ import annotations

import heapq
import mmap
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import EnvironmentFault, ServerError

SHARED_MEMORY = Path("/dev/shm")
PREFIX = "text-classifier-"
STANDSTILL_SECONDS = 1.0
"""So long after the last answer one more request is let in. When that is answered, what came before it was or got lost,
since the models take requests in their order."""


class AnsweredTexts:
    """A count that the processes of one server share which serve the same version of the models.

    Its file outlives the server, as one of their processes may start anew; the next server on this machine removes it.

    Args:
        version: of the models.
        folder: where shared memory lies.

    Raises:
        EnvironmentFault: its file is another user's.
    """

    def __init__(self, version: str, folder: Path = SHARED_MEMORY) -> None:
        _remove_ended(folder)
        path = folder / f"{PREFIX}{_server(os.getppid())}-{version}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(descriptor).st_uid != os.geteuid():
                raise EnvironmentFault(f"{path} belongs to another user; remove it")
            os.ftruncate(descriptor, 8)
            self._cell = memoryview(mmap.mmap(descriptor, 8)).cast("q")
        finally:
            os.close(descriptor)

    @property
    def count(self) -> int:
        return self._cell[0]

    @count.setter
    def count(self, count: int) -> None:
        self._cell[0] = count


class Answers:
    """Counts the texts that the last step answers.

    They come in another order than they were admitted in, and some never: those count as answered once texts are that
    were admitted much later.

    Args:
        answered: where they are counted.
        patience: texts that may be admitted and answered meanwhile, until one that is missing counts as lost.
    """

    def __init__(self, answered: AnsweredTexts, patience: int) -> None:
        self._answered, self._patience = answered, patience
        self._done = answered.count
        self._later: list[tuple[int, int]] = []

    def add(self, admission: Any) -> None:
        """Count a request by its rows of ADMISSION, int64 [texts, 3]."""
        last, lost, _ = admission[0].tolist()
        heapq.heappush(self._later, (last - len(admission), last))
        self._done = max(self._done, lost, last - self._patience)
        while self._later and self._later[0][0] <= self._done:
            self._done = max(self._done, heapq.heappop(self._later)[1])
        self._answered.count = self._done + sum(end - start for start, end in self._later)


class Admission:
    """Admits requests while fewer than `limit` texts are under way.

    Args:
        answered: what the last step has answered.
        limit: texts, at least 1; the last request that is admitted may exceed it.
        clock: seconds.
    """

    def __init__(self, answered: AnsweredTexts, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._answered, self._limit, self._clock = answered, limit, clock
        self._admitted = self._lost = self._seen = answered.count
        self._moved = clock()

    def check(self) -> None:
        """Raise ServerError if a request that has come now cannot be admitted."""
        answered, now = self._answered.count, self._clock()
        if answered != self._seen:
            self._seen, self._moved = answered, now
        self._admitted = max(self._admitted, answered)
        if self._admitted - answered < self._limit:
            return
        if now - self._moved < STANDSTILL_SECONDS:
            raise ServerError(
                f"the server is overloaded: as many texts as it may take on, {self._limit}, are under way"
            )
        self._moved, self._lost = now, self._admitted

    def admit(self, texts: int, timeout_microseconds: int = 0, counted: bool = True) -> np.ndarray:
        """Count the texts of a request that `check` let through; the rows of ADMISSION, int64 [texts, 3].

        Not `counted` is what `Answers` will not count either.
        """
        self._admitted += texts if counted else 0
        deadline = time.monotonic_ns() + 1000 * timeout_microseconds if timeout_microseconds else 0
        return np.tile(np.array([self._admitted, self._lost, deadline], np.int64), (texts, 1))


def check_in_time(admission: Any) -> None:
    """Raise ServerError if a request's caller, by its rows of ADMISSION, waits no longer."""
    deadline = int(admission[0, 2])
    late = time.monotonic_ns() - deadline
    if deadline and late > 0:
        raise ServerError(f"timeout expired: the caller has not been waiting for {late / 1e6:.0f} ms by now")


def _server(process: int) -> str:
    """What tells a server from all others of this machine, from ended ones with its process number too.

    Raises:
        OSError: there is no such process.
    """
    started = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    return f"{_namespace()}-{process}-{started}"


def _namespace() -> int:
    return os.stat("/proc/self/ns/pid").st_ino


def _remove_ended(folder: Path) -> None:
    """Remove the files of this user's servers that are no more."""
    for path in folder.glob(f"{PREFIX}{_namespace()}-*"):
        with suppress(OSError, ValueError):
            process = int(path.name.removeprefix(PREFIX).split("-")[1])
            try:
                ended = not path.name.startswith(f"{PREFIX}{_server(process)}-")
            except OSError:
                ended = True
            if ended:
                path.unlink()
