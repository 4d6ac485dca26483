"""How long requests may take to arrive, and how much memory they may have, whatever carries them."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Callable

FREE_BYTES, BODIES = 1 << 16, 16
"""Each request may have so many bytes; beyond that, all of them together have as much as so many of the largest."""


class Arrival:
    """A request that is on its way; `late` once its time is over."""

    def __init__(self, deadline: float, end: Callable[[], object]) -> None:
        self.deadline, self.end, self.late = deadline, end, False


class Arrivals:
    """Ends the requests that do not arrive in time; one thread watches over all of them.

    Args:
        seconds: that each may take.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._expected: dict[Arrival, None] = {}  # in the order of their deadlines
        self._changed = threading.Condition()
        threading.Thread(target=self._watch, daemon=True).start()

    def expect(self, end: Callable[[], object]) -> Arrival:
        """From now on a request is on its way; `end` is called, in another thread, where it comes too late."""
        with self._changed:
            arrival = Arrival(time.monotonic() + self._seconds, end)
            self._expected[arrival] = None
            self._changed.notify()
        return arrival

    def finish(self, arrival: Arrival) -> None:
        """The request has arrived, or is given up; doing it twice is fine."""
        with self._changed:
            self._expected.pop(arrival, None)

    def _watch(self) -> None:
        while True:
            with self._changed:
                while not self._expected:
                    self._changed.wait()
                first = next(iter(self._expected))
                seconds = first.deadline - time.monotonic()
                if seconds <= 0:
                    del self._expected[first]
                    first.late = True
            if seconds > 0:
                time.sleep(seconds)  # what is expected meanwhile has more time than this
                continue
            with contextlib.suppress(Exception):  # one that has gone by itself must not end the watch
                first.end()


class Budget:
    """So many bytes, for who takes them first.

    Attributes:
        left: how many are there.
    """

    def __init__(self, size: int) -> None:
        self.left, self._lock = size, threading.Lock()

    def take(self, size: int) -> bool:
        """Whether there were so many; then they are taken."""
        with self._lock:
            enough = size <= self.left
            self.left -= size if enough else 0
        return enough

    def give(self, size: int) -> None:
        """Give back what was taken."""
        with self._lock:
            self.left += size
