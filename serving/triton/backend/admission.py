"""How much a server takes on: its first step refuses what would wait too long, its last one counts what is answered.

Triton can bound the queue of a model itself. Once it does (2.51), it hands a request that comes while the model
computes over only when another one comes later, or after half a second; without a bound, as soon as the model is free.
So the steps bound what is under way, by counts that they share. The first passes on in `ADMISSION`, in each row of a
request: how many texts had been admitted with it in its lane; how many of these, the earliest, count as under way no
more; and when its caller stops waiting, in nanoseconds of `time.monotonic_ns`, or 0.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pipeline.errors import ServerError
from serving.triton.backend.counts import FEW_TEXTS, Lane, Texts

STANDSTILL_SECONDS = 1.0
"""Where as many texts as may be are under way and none is answered for so long, some may have been lost on their way:
one more request is let in, and when it is answered, those before it count as under way no more."""
LATER_SECONDS = 30.0
"""The next is let in after this time, unless that one is answered: the model may just be slow."""
IDLE_SECONDS = 0.5
"""A model takes what waits as soon as it is free. One that has been idle for so long, with nothing admitted meanwhile,
shows that all that counts as under way is lost: its callers asked the first step alone."""
PACE_SECONDS = 1.0
"""How long the server has to be busy until it is said how many texts it answers in a second."""
ENOUGH_TEXTS, ENOUGH_SHARE = 16, 1 / 8
"""With fewer under way, or a smaller share of what may be, a model may answer fewer texts in a second than it could."""
FIRST_TEXTS = 128
"""Of requests of few texts, this many are taken on until that is known."""
LEAST_TEXTS = 32
"""So many are, however slow the model: fewer would leave it without batches."""


class Pace:
    """How many texts a server answers in a second while it has enough to do, as its first step sees it.

    Args:
        texts: the counts.
        bounds: of all lanes.
        seconds: that a text may wait.
        clock: seconds.
    """

    def __init__(self, texts: Texts, bounds: Sequence[Bound], seconds: float, clock: Callable[[], float]) -> None:
        self._texts, self._bounds, self._seconds, self._clock = texts, bounds, seconds, clock
        self._answered_in_time = float(FIRST_TEXTS)
        self._last, self._enough_at = -1, -math.inf
        self._idle, self._computed_until_idle = clock(), texts.computed
        self._begin()

    def answered_in_time(self) -> int:
        """How many texts are answered within the seconds that a text may wait; to be asked before each admission."""
        answered, now = self._texts.answered, self._clock()
        under_way = sum(bound.under_way for bound in self._bounds)
        had_less = now - self._enough_at > PACE_SECONDS
        if under_way >= max(ENOUGH_TEXTS, ENOUGH_SHARE * self._answered_in_time):
            self._enough_at = now
        if not under_way:
            self._measure_burst()
            self._begin()
            self._idle, self._computed_until_idle = now, self._texts.computed
        elif had_less and self._enough_at == now:
            self._begin()
        elif answered != self._last:  # or a batch that is half done would count as nothing
            self._measure()
        self._last = answered
        return int(self._answered_in_time)

    def _measure_burst(self) -> None:
        """A fast model answers many texts before it has been busy for long: these show that it is fast."""
        computed, idle = self._texts.computed - self._computed_until_idle, self._texts.idle_since()
        if computed >= ENOUGH_TEXTS and idle is not None and idle > self._idle:
            self._answered_in_time = max(self._answered_in_time, computed / (idle - self._idle) * self._seconds)

    def _begin(self) -> None:
        self._since, self._before = self._clock(), self._texts.computed

    def _measure(self) -> None:
        seconds, computed = self._clock() - self._since, self._texts.computed - self._before
        if seconds < PACE_SECONDS or computed <= 0:
            return
        measured = computed / seconds * self._seconds
        has_enough = self._clock() - self._enough_at < PACE_SECONDS / 4
        if has_enough or measured > self._answered_in_time:
            self._answered_in_time = measured
        self._begin()


class Admission:
    """Admits requests while fewer texts are under way than are answered in time.

    Args:
        texts: the counts.
        queue_size: texts that may be under way in a lane, at least 1; 0: as many as are answered within `seconds`.
        seconds: that a text may wait.
        most_texts: of a request.
        clock: seconds.
    """

    def __init__(
        self,
        texts: Texts,
        queue_size: int,
        seconds: float = 1.0,
        most_texts: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue_size = queue_size
        least = LEAST_TEXTS, most_texts + most_texts // 2  # one can wait, whole, while another is computed
        self._few, self._many = (
            Bound(texts, texts.lane(size), each, clock) for size, each in zip((1, FEW_TEXTS + 1), least)
        )
        self._pace = Pace(texts, (self._few, self._many), seconds, clock)
        self._bound_all()

    def check(self, texts: int, probe: bool = False) -> None:
        """Raise ServerError if a request of so many texts that has come now cannot be admitted.

        At a standstill every probe can, so that it meets what the matter is.
        """
        self._bound_all()
        self._bound(texts).check(probe)

    def admit(self, texts: int, timeout_microseconds: int = 0) -> np.ndarray:
        """Count the texts of a request that `check` has just let through; the rows of ADMISSION, int64 [texts, 3]."""
        deadline = time.monotonic_ns() + 1000 * timeout_microseconds if timeout_microseconds > 0 else 0
        last, lost = self._bound(texts).admit(texts)
        return np.tile(np.array([last, lost, min(deadline, 2**63 - 1)], np.int64), (texts, 1))

    def _bound(self, texts: int) -> Bound:
        return self._many if texts > FEW_TEXTS else self._few

    def _bound_all(self) -> None:
        for bound in (self._few, self._many):
            bound.forget_lost()
        answered = self._pace.answered_in_time()
        for bound in (self._few, self._many):
            bound.lane.limit = self._queue_size or max(bound.least, answered)


class Bound:
    """What one lane may have under way; the last request that is admitted may exceed its limit.

    Args:
        texts: the counts.
        lane: of them.
        least: texts, that the limit is at least where it is measured.
        clock: seconds.
    """

    def __init__(self, texts: Texts, lane: Lane, least: int, clock: Callable[[], float]) -> None:
        self._texts, self.lane, self.least, self._clock = texts, lane, least, clock
        self._seen, self._moved = lane.answered, clock()
        self._lost, self._let_in, self._gone = 0, 0, 0
        self._admitted_at = clock()
        self._full = False

    def check(self, probe: bool) -> None:
        answered, now = self.lane.answered, self._clock()
        self.lane.admitted = max(self.lane.admitted, answered)
        self._full = self.lane.admitted - max(answered, self._gone) >= self.lane.limit
        if answered != self._seen or not self._full:
            self._seen, self._moved = answered, now
        patience = LATER_SECONDS if answered < self._let_in and not probe else STANDSTILL_SECONDS
        if self._full and now - self._moved < patience:
            limit = self.lane.limit
            raise ServerError(f"the server is overloaded: as many texts as it takes on, {limit}, are under way")

    @property
    def under_way(self) -> int:
        return max(0, self.lane.admitted - max(self.lane.answered, self._gone))

    def forget_lost(self) -> None:
        """Texts that the model has no more, and that were never answered, count as under way no more."""
        now = self._clock()
        if now - self._admitted_at > IDLE_SECONDS and self.under_way and self._model_waits(now):
            self._gone = self._lost = self.lane.admitted

    def admit(self, texts: int) -> tuple[int, int]:
        before = self.lane.admitted
        self.lane.admitted = before + texts
        self._admitted_at = self._clock()
        if self._full:
            self._lost, self._let_in, self._moved = before, before + texts, self._clock()
        return before + texts, self._lost

    def _model_waits(self, now: float) -> bool:
        idle = self._texts.idle_since()
        return idle is not None and now - max(idle, self._admitted_at) > IDLE_SECONDS


class Answers:
    """Counts the texts that the last step answers.

    They come in another order than they were admitted in, and some never: those count as answered once texts are that
    were admitted much later, twice as many as may be under way.
    """

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._lanes = [_Answered(texts.lane(size)) for size in (1, FEW_TEXTS + 1)]

    def add(self, admission: np.ndarray, computed: bool = True) -> None:
        """Count a request by its rows of ADMISSION, int64 [texts, 3], and whether all of it was computed.

        Those that no first step made are passed over, and so are those that come again.
        """
        last, lost, _ = admission[0].tolist()
        before = self._texts.answered
        self._lanes[len(admission) > FEW_TEXTS].add(last, lost, len(admission))
        if computed:
            self._texts.computed += min(len(admission), self._texts.answered - before)


class _Answered:
    """Of one lane."""

    def __init__(self, lane: Lane) -> None:
        self._lane, self._patience = lane, 0
        self._done = lane.answered
        self._spans: list[tuple[int, int]] = []

    def add(self, last: int, lost: int, texts: int) -> None:
        if not 0 <= lost < last <= self._lane.admitted:
            return
        self._patience = max(self._patience, 2 * self._lane.limit)
        self._done = max(self._done, lost, last - self._patience)
        if last > self._done and texts <= last:
            self._add_span(last - texts, last)
        while self._spans and self._spans[0][0] <= self._done:
            self._done = max(self._done, self._spans.pop(0)[1])
        self._lane.answered = self._done + sum(end - start for start, end in self._spans)

    def _add_span(self, start: int, end: int) -> None:
        """Spans that touch become one: behind a text that is lost they would be ever more."""
        apart = []
        for span in self._spans:
            if span[1] < start or span[0] > end:
                apart.append(span)
            else:
                start, end = min(start, span[0]), max(end, span[1])
        self._spans = sorted([*apart, (start, end)])


def is_late(admission: Any) -> bool:
    """Whether a request's caller, by its rows of ADMISSION, has stopped waiting."""
    return 0 < int(admission[0, 2]) < time.monotonic_ns()
