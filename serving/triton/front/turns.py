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

FEW_TEXTS = 8
"""A request of so many texts is never held."""
MANY_TEXTS = 128
"""Of requests of many texts together: while so many are passed on, and as many as the server answers in
AHEAD_SECONDS, the next is held. At least two requests are passed on: the model computes one, and the next is there."""
LEAST_REQUESTS = 2
AHEAD_SECONDS, PACE_SECONDS = 0.3, 1.0
"""The second: over which it is measured how many texts are answered."""
HELD_TEXTS = 128
"""While so many are held, further ones are passed on at once."""


class Turns:
    """Whose request is passed on; belongs to one event loop.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._requests = self._texts = self._held_texts = 0
        self._held: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._pace, self._answered, self._since = 0.0, 0, clock()

    async def take(self, texts: int) -> int:
        """Wait for the turn of a request of so many texts; what is to be given back when it is answered."""
        if texts <= FEW_TEXTS or self._held_texts >= HELD_TEXTS:
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

    def give(self, taken: int) -> None:
        """A request is answered for which `take` gave so much."""
        if not taken:
            return
        self._requests -= 1
        self._texts -= taken
        self._answered += taken
        seconds = self._clock() - self._since
        if seconds >= PACE_SECONDS:
            self._pace, self._answered, self._since = self._answered / seconds, 0, self._clock()
        while self._held and self._has_room():
            texts, turn = self._held.popleft()
            self._held_texts -= texts
            self._pass_on(texts)
            turn.set_result(None)

    def _has_room(self) -> bool:
        return self._requests < LEAST_REQUESTS or self._texts < max(MANY_TEXTS, AHEAD_SECONDS * self._pace)

    def _pass_on(self, texts: int) -> None:
        self._requests += 1
        self._texts += texts
