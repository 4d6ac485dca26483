"""Counts that the processes of one server share, for each version of the model that they serve.

Requests of few texts and of many are counted in a lane each, as the model computes those of few first: how long such a
one waits depends on those of its kind alone.
"""

from __future__ import annotations

import mmap
import os
import stat
import sys
import time
from contextlib import suppress
from pathlib import Path

from pipeline.errors import EnvironmentFault

SHARED_MEMORY = Path("/dev/shm")
PREFIX = "text-classifier-"
FEW_TEXTS = 8
"""A request of so many texts is one of few."""
LANES = 2
MOST_INSTANCES, INSTANCES_OF_A_GPU = 256, 32
"""Of the model; each has times of its own, or one that is done would hide another that computes."""
LANE_CELLS, TIME_CELLS = 3, 2
FIRST_LANE = 2
FIRST_TIME = FIRST_LANE + LANES * LANE_CELLS
COUNTS = FIRST_TIME + MOST_INSTANCES * TIME_CELLS


class Lane:
    """Texts of requests of one kind: admitted, answered, and how many may be under way.

    Args:
        cells: int64 [3], shared.
        total: int64 [1], shared: texts answered in all lanes.
    """

    def __init__(self, cells: memoryview, total: memoryview) -> None:
        self._cells, self._total = cells, total

    @property
    def answered(self) -> int:
        return self._cells[0]

    @answered.setter
    def answered(self, count: int) -> None:
        self._total[0] += count - self._cells[0]
        self._cells[0] = count

    @property
    def admitted(self) -> int:
        return self._cells[1]

    @admitted.setter
    def admitted(self, count: int) -> None:
        self._cells[1] = count

    @property
    def limit(self) -> int:
        """0 before the first step has said it."""
        return self._cells[2]

    @limit.setter
    def limit(self, count: int) -> None:
        self._cells[2] = count


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
        """Of all lanes."""
        return self._cells[0]

    @property
    def computed(self) -> int:
        """Of those, how many were answered to callers who still waited: the others may have cost nothing."""
        return self._cells[1]

    @computed.setter
    def computed(self, count: int) -> None:
        self._cells[1] = count

    def lane(self, texts: int) -> Lane:
        """That of a request of so many texts."""
        start = FIRST_LANE + (texts > FEW_TEXTS) * LANE_CELLS
        return Lane(self._cells[start : start + LANE_CELLS], self._cells[:1])

    def working_times(self, instance: int) -> memoryview:
        """When that instance of the model last began and ended computing: two numbers, ns of `time.monotonic_ns`."""
        start = FIRST_TIME + TIME_CELLS * instance
        return self._cells[start : start + TIME_CELLS]

    def idle_since(self) -> float | None:
        """Since when no instance computes, in seconds; None while one does, or where the model does not say."""
        times = self._cells[FIRST_TIME:].tolist()
        known = [(began, ended) for began, ended in zip(times[::2], times[1::2]) if began]
        if not known or any(ended < began for began, ended in known):
            return None
        return max(ended for _, ended in known) / 1e9


class Work:
    """Tells the first step whether an instance of the model computes; a `with` block for each time that it does.

    Args:
        texts: of the same version.
        instance: its name, which ends in its number among those of its device.
        device: number of that device.
    """

    def __init__(self, texts: Texts, instance: str, device: int = 0) -> None:
        number = instance.rpartition("_")[2]
        own = (int(number) if number.isdigit() else 0) + device * INSTANCES_OF_A_GPU
        self._times = texts.working_times(own % MOST_INSTANCES)
        self.__enter__()
        self.__exit__()

    def __enter__(self) -> None:
        self._times[0] = time.monotonic_ns()

    def __exit__(self, *exception: object) -> None:
        self._times[1] = time.monotonic_ns()


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
