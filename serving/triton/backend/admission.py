"""How much a server takes on: its first step refuses what would wait too long, its last one counts what is answered.

Triton can bound the queue of a model itself. Once it does (2.51), it hands a request that comes while the model
computes over only when another one comes later, or after half a second; without a bound, as soon as the model is free.
So the steps bound what is under way, by counts that they share. The first passes on in `ADMISSION`, in each row of a
request: how many texts had been admitted with it; how many of these, the earliest, count as under way no more; and
when its caller stops waiting, in nanoseconds of `time.monotonic_ns`, or 0.
"""

from __future__ import annotations

import mmap
import os
import stat
import sys
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
"""Where as many texts as may be are under way and none is answered for so long, some may have been lost on their way:
one more request is let in, and when it is answered, those before it count as under way no more."""
LATER_SECONDS = 30.0
"""The next is let in after this time, unless that one is answered: the model may just be slow."""
IDLE_SECONDS = 0.5
"""A model takes what waits as soon as it is free. One that has been idle for so long, with nothing admitted meanwhile,
shows that all that counts as under way is lost: its callers asked the first step alone."""
MOST_INSTANCES = 256
"""Of the model; each has times of its own, or one that is done would hide another that computes."""
COUNTS = 2 + 2 * MOST_INSTANCES
LARGEST = 2**63 - 1


class Texts:
    """Texts admitted and texts answered, as the processes of one server that serve the same version share the counts.

    Their file outlives the server, as one of the processes may start anew; the next server on this machine removes it.

    Args:
        version: of the models.
        folder: where shared memory lies.

    Raises:
        EnvironmentFault: the file cannot be used, or is another user's.
    """

    def __init__(self, version: str, folder: Path = SHARED_MEMORY) -> None:
        _remove_ended(folder)
        path = folder / f"{PREFIX}{_server(os.getppid())}-{version}"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise EnvironmentFault(f"{path} cannot be opened ({error.strerror}); remove it") from None
        try:
            found = os.fstat(descriptor)
            if found.st_uid != os.geteuid() or not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
                raise EnvironmentFault(f"{path} is not this user's own file; remove it")
            try:
                os.posix_fallocate(descriptor, 0, 8 * COUNTS)  # or a full disk would be told by a signal later
            except OSError as error:
                raise EnvironmentFault(f"{path} cannot be written ({error.strerror}); make room there") from None
            self._cells = memoryview(mmap.mmap(descriptor, 8 * COUNTS)).cast("q")
        finally:
            os.close(descriptor)

    @property
    def answered(self) -> int:
        return self._cells[0]

    @answered.setter
    def answered(self, count: int) -> None:
        self._cells[0] = count

    @property
    def admitted(self) -> int:
        return self._cells[1]

    @admitted.setter
    def admitted(self, count: int) -> None:
        self._cells[1] = count

    def working_times(self, instance: int) -> memoryview:
        """When that instance of the model last began and ended computing: two numbers, ns of `time.monotonic_ns`."""
        start = 2 + 2 * instance
        return self._cells[start : start + 2]

    def idle_since(self) -> float | None:
        """Since when no instance computes, in seconds; None while one does, or where the model does not say."""
        times = self._cells[2:].tolist()
        known = [(began, ended) for began, ended in zip(times[::2], times[1::2]) if began]
        if not known or any(ended < began for began, ended in known):
            return None
        return max(ended for _, ended in known) / 1e9


class Work:
    """Tells the first step whether an instance of the model computes; a `with` block for each time that it does.

    Args:
        texts: of the same version.
        instance: its name, which ends in its number.
    """

    def __init__(self, texts: Texts, instance: str) -> None:
        number = instance.rpartition("_")[2]
        self._times = texts.working_times(int(number) if number.isdigit() else 0)
        self.__enter__()
        self.__exit__()

    def __enter__(self) -> None:
        self._times[0] = time.monotonic_ns()

    def __exit__(self, *exception: object) -> None:
        self._times[1] = time.monotonic_ns()


class Admission:
    """Admits requests while fewer than `limit` texts are under way.

    Args:
        texts: the counts.
        limit: texts, at least 1; the last request that is admitted may exceed it.
        clock: seconds.
    """

    def __init__(self, texts: Texts, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._texts, self._limit, self._clock = texts, limit, clock
        self._seen, self._moved = texts.answered, clock()
        self._lost, self._let_in, self._gone = 0, 0, 0
        self._admitted_at = clock()
        self._full = False

    def check(self, probe: bool = False) -> None:
        """Raise ServerError if a request that has come now cannot be admitted.

        At a standstill every probe can, so that it meets what the matter is.
        """
        answered, now = self._texts.answered, self._clock()
        self._texts.admitted = max(self._texts.admitted, answered)
        self._full = self._texts.admitted - max(answered, self._gone) >= self._limit
        if self._full and self._model_waits(now):
            self._gone = self._lost = self._texts.admitted
            self._full = False
        if answered != self._seen or not self._full:
            self._seen, self._moved = answered, now
        patience = LATER_SECONDS if answered < self._let_in and not probe else STANDSTILL_SECONDS
        if self._full and now - self._moved < patience:
            raise ServerError(f"the server is overloaded: as many texts as it takes on, {self._limit}, are under way")

    def admit(self, texts: int, timeout_microseconds: int = 0) -> np.ndarray:
        """Count the texts of a request that `check` has just let through; the rows of ADMISSION, int64 [texts, 3]."""
        deadline = time.monotonic_ns() + 1000 * timeout_microseconds if timeout_microseconds > 0 else 0
        before = self._texts.admitted
        self._texts.admitted = before + texts
        self._admitted_at = self._clock()
        if self._full:
            self._lost, self._let_in, self._moved = before, before + texts, self._clock()
        return np.tile(np.array([before + texts, self._lost, min(deadline, LARGEST)], np.int64), (texts, 1))

    def _model_waits(self, now: float) -> bool:
        idle = self._texts.idle_since()
        return idle is not None and now - max(idle, self._admitted_at) > IDLE_SECONDS


class Answers:
    """Counts the texts that the last step answers.

    They come in another order than they were admitted in, and some never: those count as answered once texts are that
    were admitted much later.

    Args:
        texts: the counts.
        patience: texts that may be admitted and answered meanwhile, until one that is missing counts as lost.
    """

    def __init__(self, texts: Texts, patience: int) -> None:
        self._texts, self._patience = texts, patience
        self._done = texts.answered
        self._later: dict[int, int] = {}

    def add(self, admission: np.ndarray) -> None:
        """Count a request by its rows of ADMISSION, int64 [texts, 3].

        Those that no first step made are passed over, and so are those that come again.
        """
        last, lost, _ = admission[0].tolist()
        if not 0 <= lost < last <= self._texts.admitted:
            return
        self._done = max(self._done, lost, last - self._patience)
        if last > self._done and len(admission) <= last:
            self._later.setdefault(last, last - len(admission))
        for end, start in sorted(self._later.items()):
            if start <= self._done:
                self._done = max(self._done, end)
        self._later = {end: start for end, start in self._later.items() if end > self._done}
        counted = reached = self._done
        for end, start in sorted(self._later.items()):  # of forged ones, which overlap, none counts twice
            counted, reached = counted + end - max(start, reached), end
        self._texts.answered = counted


def is_late(admission: Any) -> bool:
    """Whether a request's caller, by its rows of ADMISSION, has stopped waiting."""
    return 0 < int(admission[0, 2]) < time.monotonic_ns()


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


def texts_answered(server: int, version: int, folder: Path = SHARED_MEMORY) -> int | None:
    """How many texts a version has answered in the server with that process number; None where nobody counts them."""
    with suppress(OSError, ValueError), open(folder / f"{PREFIX}{_server(server)}-{version}", "rb") as counts:
        return int.from_bytes(counts.read(8), sys.byteorder)
    return None
