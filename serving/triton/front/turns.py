"""Requests of many texts wait here for their turn, so that one of few does not wait behind all of them in Triton.

Triton 2.51 computes in the order of arrival. Its priorities do not help: with `priority_levels`, a request that comes
while the model computes is handed over only when another one comes, or after half a second. So of the requests of many
texts no more are passed on than keep the model busy; those of few go past the rest. None of them is held for long: what
is held goes on in its order, whatever goes past, and where much is held already, a request is passed on at once, and
the first step takes it on or refuses it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from serving.triton.backend.counts import FEW_TEXTS

AHEAD_SECONDS, PACE_SECONDS = 0.2, 1.0
"""While as many texts of large requests are passed on as the server answers in the first, the next request is held. One
is always passed on: until the next is there, the model stands still for some milliseconds, little beside a request that
takes longer than this. How many are answered is measured over the second, in which large requests are under way."""
HELD_SECONDS = 2.0
"""While as many texts are held as the server answers in this time, further requests are passed on at once."""
FIRST_TEXTS = 128
"""Taken for either number until that has been measured."""


class Turns:
    """Whose request is passed on; belongs to one event loop.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._requests = self._texts = self._held_texts = 0
        self._held: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._pace: float | None = None
        self._answered, self._busy_seconds, self._looked = 0, 0.0, 0.0

    async def take(self, texts: int) -> int:
        """Wait for the turn of a request of so many texts; what is to be given back when it is answered."""
        if texts <= FEW_TEXTS or self._held_texts >= self._answered_in(HELD_SECONDS):
            return 0
        if not self._held and self._has_room():
            self._pass_on(texts)
            return texts
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._held.append((texts, turn))
        self._held_texts += texts
        try:
            await turn
        except asyncio.CancelledError:  # its caller has left
            if (texts, turn) in self._held:
                self._held.remove((texts, turn))
                self._held_texts -= texts
            else:
                self.give(texts)
            raise
        return texts

    def give(self, taken: int, answered: bool = True) -> None:
        """A request is over for which `take` gave so much; whether its texts were answered, or it was refused."""
        if not taken:
            return
        self._requests -= 1
        self._texts -= taken
        self._measure(taken if answered else 0)
        while self._held and self._has_room():
            texts, turn = self._held.popleft()
            self._held_texts -= texts
            self._pass_on(texts)
            turn.set_result(None)

    def _measure(self, texts: int) -> None:
        now = self._clock()
        self._answered += texts
        self._busy_seconds += now - self._looked
        self._looked = now
        if self._busy_seconds >= PACE_SECONDS and self._answered:
            self._pace = self._answered / self._busy_seconds
            self._answered, self._busy_seconds = 0, 0.0

    def _answered_in(self, seconds: float) -> float:
        return FIRST_TEXTS if self._pace is None else seconds * self._pace

    def _has_room(self) -> bool:
        return not self._requests or self._texts < self._answered_in(AHEAD_SECONDS)

    def _pass_on(self, texts: int) -> None:
        if not self._requests:
            self._looked = self._clock()
        self._requests += 1
        self._texts += texts
