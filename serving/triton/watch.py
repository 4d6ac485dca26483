"""Whether one server serves its callers worse than others do over the same time, by what all of them count."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from pipeline.errors import ServerError
from serving.triton.control import ServerControl
from serving.triton.metrics import Served, metrics_page

LOOK_SECONDS = 2.0
SILENT_LOOKS = 5
"""In a row that the watched server may leave without an answer, as while it is overloaded."""
LEAST_REQUESTS, LEAST_OTHERS = 20, 100
"""Of the watched server, which clients ask little while they find it slow, and of the others; fewer say nothing."""
MORE_FAILED, MORE_EMPTY = 0.02, 0.1
"""By which the share of requests that fail, of texts that get no label, may exceed the others'."""
DEVIATIONS = 4.0
"""A share is larger, and not by chance, from so many standard deviations of the difference on."""
SLOWER, SLOWER_MILLISECONDS = 2.0, 20.0
"""A server is slow whose requests take so many times as long as the others', and so much longer."""
AVOIDED, PATIENCE = 4.0, 4.0
"""Callers that ask a server so many times less than before have found it slow; maybe while it loaded the version, which
clients forget in half a minute: so it is watched longer then."""


class Worse(ServerError):
    """A server that got a new version serves its callers worse than the others do."""


class Watch:
    """Compares a server with others: what callers ask of it before it gets a new version, and how it serves them then.

    Args:
        first: the server that gets the version; its `metrics` are known, as the others' are.
        others: what it is compared with.
        version, before: the versions by which it and the others answer.
        sleep: waits.
    """

    def __init__(
        self,
        first: ServerControl,
        others: Sequence[ServerControl],
        version: int,
        before: int,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._first, self._others = first, others
        self._version, self._before, self._sleep = version, before, sleep
        self._usual = 0.0

    def learn(self, seconds: float) -> None:
        """Find out how much the first is asked before; raises ServerError where a server does not tell its metrics."""
        servers = [self._first, *self._others]
        began = [self._read(server, self._before) for server in servers]
        self._sleep(seconds)
        first, *others = (self._read(server, self._before) - then for server, then in zip(servers, began))
        compared = sum(each.requests for each in others)
        self._usual = first.requests / compared if min(first.requests, compared) >= LEAST_REQUESTS else 0.0

    def run(self, seconds: float) -> str:
        """Watch the first server with its new version for so long, PATIENCE times as long while its callers avoid it.

        Returns:
            What was seen, in words.

        Raises:
            Worse: it serves its callers worse. That requests fail, or texts get no label, tells at once, the rest in
                the end.
            ServerError: it does not answer any more, or was started anew.
        """
        began = {server: self._read(server, self._before) for server in self._others}
        began[self._first] = self._read(self._first, self._version)
        deadline, late, silent = time.monotonic() + seconds, time.monotonic() + PATIENCE * seconds, 0
        while True:
            self._sleep(min(LOOK_SECONDS, max(0.5, deadline - time.monotonic())))
            try:
                seen, compared = self._look(began)
                silent = 0
            except ServerError:
                silent += 1
                if silent == SILENT_LOOKS:
                    raise
                continue
            is_over = time.monotonic() >= (late if is_avoided(seen, compared, self._usual) else deadline)
            if reason := worse(seen, compared, self._usual if is_over else None):
                raise Worse(f"{self._first.address} serves worse by version {self._version} than others: {reason}")
            if is_over:
                return self._in_words(seen, compared)

    def _look(self, began: Mapping[ServerControl, Served]) -> tuple[Served, Served]:
        seen = self._read(self._first, self._version) - began[self._first]
        answering = self._first.pinned_version()
        if seen.answered < 0 or answering != self._version:
            raise ServerError(
                f"{self._first.address} was started anew while it was watched, and answers by version {answering}: its "
                "log says why"
            )
        compared = Served()
        for other in self._others:
            with contextlib.suppress(ServerError):  # it may have gone
                more = self._read(other, self._before) - began[other]
                if more.answered >= 0:  # else it was started anew
                    compared += more
        return seen, compared

    @staticmethod
    def _read(server: ServerControl, version: int) -> Served:
        return Served.read(metrics_page(server.metrics), version)

    def _in_words(self, seen: Served, compared: Served) -> str:
        said = f"{self._first.address}: {seen}; the others: {compared}"
        if seen.requests < LEAST_REQUESTS or compared.requests < LEAST_OTHERS:
            said += "; so few requests say nothing, and the golden texts alone speak for it"
        return said


def worse(first: Served, others: Served, usual: float | None) -> str:
    """In what the first serves its callers worse, in words; nothing where it does not, or too little was asked.

    Args:
        first, others: counted over the same time.
        usual: requests of the first for each of the others' before, 0 where that is unknown; None: do not judge time.
    """
    return next(_reasons(first, others, usual), "")


def _reasons(first: Served, others: Served, usual: float | None) -> Iterator[str]:
    if _exceeds(first.failed, first.requests, others.failed, others.requests, MORE_FAILED):
        yield (
            f"{first.failed:.0f} of {first.requests:.0f} requests fail ({first.surplus:.0f} as surplus), of the "
            f"others' {others.failed:.0f} of {others.requests:.0f}"
        )
    if _exceeds(first.empty, first.texts, others.empty, others.texts, MORE_EMPTY):
        yield (
            f"{first.empty:.0f} of {first.texts:.0f} texts get no label, of the "
            f"others' {others.empty:.0f} of {others.texts:.0f}"
        )
    if usual is None or others.requests < LEAST_OTHERS:
        return
    most = max(SLOWER * others.milliseconds, others.milliseconds + SLOWER_MILLISECONDS)
    if first.answered >= LEAST_REQUESTS and first.milliseconds > most:
        yield f"a request takes {first.milliseconds:.0f} ms, at the others {others.milliseconds:.0f} ms"
    if is_avoided(first, others, usual):
        expected = usual * others.requests
        yield f"its callers avoid it: {first.requests:.0f} requests, and {expected:.0f} were to be expected"


def is_avoided(first: Served, others: Served, usual: float) -> bool:
    """Whether the first is asked far less than it usually is."""
    return usual * others.requests >= LEAST_OTHERS and first.requests < usual * others.requests / AVOIDED


def _exceeds(count: float, total: float, other: float, other_total: float, margin: float) -> bool:
    """Whether a share is larger than another by more than a margin, and not by chance (z test of two shares)."""
    if total < LEAST_REQUESTS or other_total < LEAST_OTHERS:
        return False
    both = min(1.0, (count + other) / (total + other_total))
    deviation = math.sqrt(both * (1 - both) * (1 / total + 1 / other_total))
    difference = count / total - other / other_total
    return difference > max(margin, DEVIATIONS * deviation)
