"""How much memory processes hold."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.records import PROJECT
from pipeline.errors import ClassifierError

SECONDS_BETWEEN_LOOKS = 0.1


@dataclass(frozen=True)
class Watched:
    """What a command took.

    Attributes:
        seconds: of the whole process, imports included.
        cpu_seconds: computed by it and by its children.
        own_megabytes, child_megabytes: the largest resident memory of itself, and of the child that took most, in 10^6
            bytes, as they were looked at.
    """

    seconds: float
    cpu_seconds: float
    own_megabytes: float
    child_megabytes: float

    @property
    def peak_megabytes(self) -> float:
        return max(self.own_megabytes, self.child_megabytes)


def resident_bytes(pid: int) -> int:
    """Of a process alone, without its children."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def run_watched(words: Sequence[str]) -> Watched:
    """Run a command of this project to its end; what it prints is left out.

    Raises:
        ClassifierError: it failed; it has said why.
    """
    started, own, child = time.monotonic(), 0.0, 0.0
    process = subprocess.Popen(words, cwd=PROJECT, stdout=subprocess.DEVNULL)
    # Not by wait4(): what it calls the largest includes this process, of which the other is a copy at first.
    while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
        own = max(own, _peak_megabytes(process.pid))
        child = max(child, max(map(_peak_megabytes, _children(process.pid)), default=0.0))
        time.sleep(SECONDS_BETWEEN_LOOKS)
    _, status, usage = ended
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ClassifierError(f"{' '.join(words[1:3])} ended with status {process.returncode}")
    cpu_seconds = usage.ru_utime + usage.ru_stime
    return Watched(time.monotonic() - started, cpu_seconds, own, child)


def _children(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError):  # it has ended
        for task in Path(f"/proc/{pid}/task").iterdir():
            yield from map(int, (task / "children").read_text().split())


def _peak_megabytes(pid: int) -> float:
    """The largest resident memory so far; 0 of a process that has ended."""
    with contextlib.suppress(OSError):
        if found := re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="utf-8")):
            return int(found[1]) * 1024 / 1e6
    return 0.0
