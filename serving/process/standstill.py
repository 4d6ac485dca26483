"""Telling a server that stands still from one that has much to do."""

from __future__ import annotations

import time
from typing import Callable

IDLE_SECONDS, SILENT_SECONDS = 18.0, 120.0
BUSY_SHARE = 0.1
"""Of one processor core: what computes uses more, what waits for ever uses less."""


class Standstill:
    """Judges a server whose golden text gets no answer, which alone says little: it may wait behind all others.

    It stands still once nobody has got an answer for a while: a short one where its processes compute nothing either, a
    long one where they do, since one large request may take its time.

    Args:
        idle_seconds, silent_seconds: the short while and the long one.
        clock: seconds.
    """

    def __init__(
        self,
        idle_seconds: float = IDLE_SECONDS,
        silent_seconds: float = SILENT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._idle_seconds, self._silent_seconds, self._clock = idle_seconds, silent_seconds, clock
        self.answered()
        self.begin(0.0)

    def answered(self, mark: object = None) -> None:
        """The golden text was answered just now; `mark` as of `since`."""
        self._answered = self._worked = self._clock()
        self._mark = mark

    def begin(self, processor_seconds: float) -> None:
        """A golden text is about to be asked; `processor_seconds` as of `since`."""
        self._used, self._looked = processor_seconds, self._clock()

    def since(self, mark: object, processor_seconds: float) -> float | None:
        """For how many seconds the server has been standing still, None where it is at work; no answer has come.

        Args:
            mark: what changes with each answer to anybody; None where that cannot be told, or does not matter.
            processor_seconds: what the processes that compute have used up to now.
        """
        now = self._clock()
        if mark is not None:
            self._answered = now if mark != self._mark else self._answered
            self._mark = mark
        if processor_seconds - self._used > BUSY_SHARE * (now - self._looked):
            self._worked = now
        self._used, self._looked = processor_seconds, now
        silent = now - self._answered
        idle = now - max(self._answered, self._worked)
        return silent if idle > self._idle_seconds or silent > self._silent_seconds else None
