"""What processes hold, sampled all the time, and whether it grows."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.endurance.servers import RunningServer
from benchmarks.memory import resident_bytes
from pipeline.local_servers import stat_fields

RESIDENT, THREADS, FILES = "resident MB", "threads", "open files"
SHARED, PROCESSES = "shared MB", "processes"
LOAD = "load"
"""The process that asks: the project's own clients run in it."""
FLOORS = {RESIDENT: 16.0, SHARED: 4.0, THREADS: 6.0, FILES: 16.0, PROCESSES: 1.5}
"""What a quantity may grow by however small it is: what a busy moment takes and gives back."""
SETTLING_SECONDS = 30.0
"""That a process has until its growth counts: it meets texts of all lengths first, or its libraries' first threads."""


class Sample(NamedTuple):
    """What one process held at a moment, or of a server as a whole where the process id is 0."""

    seconds: float
    pid: int
    values: dict[str, float]


class Sampler:
    """Samples processes in a thread, in a `with` block.

    Args:
        servers: theirs, and this process itself.
        every: seconds between two samples.

    Attributes:
        series: samples by server and kind of process, such as `triton tokenizer`.
    """

    def __init__(self, servers: Sequence[RunningServer], every: float) -> None:
        self.series: dict[str, list[Sample]] = defaultdict(list)
        self._servers, self._every = servers, every
        self._end, self._thread = threading.Event(), threading.Thread(target=self._run, daemon=True)
        self.started = time.monotonic()

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            now = round(time.monotonic() - self.started, 1)
            self._add(LOAD, now, os.getpid())
            for server in self._servers:
                found = server.processes()
                for pid, kind in found.items():
                    self._add(f"{server.name} {kind}", now, pid)
                whole = {SHARED: round(server.shared_bytes() / 2**20, 2), PROCESSES: float(len(found))}
                self.series[server.name].append(Sample(now, 0, whole))
            if self._end.wait(self._every):
                return

    def _add(self, name: str, now: float, pid: int) -> None:
        try:
            files, threads = len(os.listdir(f"/proc/{pid}/fd")), int(stat_fields(pid)[17])
            values = {RESIDENT: round(resident_bytes(pid) / 2**20, 1), THREADS: threads, FILES: files}
        except (OSError, IndexError):
            return  # it has just ended
        if Path(f"/proc/{pid}").exists():
            self.series[name].append(Sample(now, pid, values))


def growth(samples: Sequence[Sample], quantity: str, warm: float, seconds: float) -> float:
    """What a quantity of a process grows by within `seconds`: the median of all slopes between two samples.

    Such a slope (Theil and Sen's) does not heed single peaks. Of a process that was started meanwhile, samples count
    once it has settled: all of a kind warm up alike.

    Args:
        warm: seconds from the start whose samples do not count.
    """
    begun: dict[int, float] = {}
    points: list[tuple[float, float]] = []
    for sample in samples:
        first = begun.setdefault(sample.pid, sample.seconds)
        settled = first == samples[0].seconds or sample.seconds >= first + SETTLING_SECONDS
        if sample.seconds >= warm and settled:
            points.append((sample.seconds, sample.values[quantity]))
    slopes = [
        (later - earlier) / (end - start)
        for number, (start, earlier) in enumerate(points)
        for end, later in points[number + 1 :]
        if end > start
    ]
    return statistics.median(slopes) * seconds if slopes else 0.0


def growths(series: Mapping[str, Sequence[Sample]], warm: float, seconds: float, share: float) -> dict[str, Any]:
    """By kind of process and quantity: the median, what it grows by, and whether that is too much.

    Args:
        share: of its median that a quantity may grow by, where that is more than its floor.
    """
    found: dict[str, Any] = {}
    for name, samples in series.items():
        for quantity in samples[0].values:
            middle = statistics.median(sample.values[quantity] for sample in samples)
            grown = growth(samples, quantity, warm, seconds)
            most = max(share * middle, FLOORS[quantity])
            found[f"{name}, {quantity}"] = {
                "median": round(middle, 1),
                "grows by": round(grown, 1),
                "may": round(most, 1),
                "too much": grown > most,
            }
    return found


def drawn(series: Mapping[str, Sequence[Sample]]) -> dict[str, dict[str, list[float]]]:
    """For a record: by kind of process, the seconds of the samples and of each quantity the sum over its processes."""
    found: dict[str, dict[str, list[float]]] = {}
    for name, samples in series.items():
        sums: dict[float, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for sample in samples:
            for quantity, value in sample.values.items():
                sums[sample.seconds][quantity] += value
        found[name] = {"seconds": list(sums)}
        for quantity in samples[0].values:
            found[name][quantity] = [round(each[quantity], 1) for each in sums.values()]
    return found
