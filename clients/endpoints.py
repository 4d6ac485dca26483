"""The Triton servers that a client may ask, and which of them is asked next.

A name that stands for several addresses, as that of a headless Kubernetes service does, is as many servers; gRPC by
itself would ask one of them alone. Names are looked up anew from time to time and when one of their servers fails, so
that servers may come and go. Until the first look-up is done, and where a proxy finds the servers, the name itself is
asked.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections import deque
from collections.abc import Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Callable

from clients.proxies import is_near, proxy_variable
from clients.triton_request import without_further
from pipeline.errors import InputError, ServerError

DEFAULT_URL = "127.0.0.1:8001"
FIRST_REST_SECONDS, LONGEST_REST_SECONDS = 1.0, 30.0
PLAIN_SECONDS = 60.0
LOOK_UP_SECONDS = 30.0
"""After which a name is looked up again; after FIRST_REST_SECONDS where one of its servers fails."""
SLOW, SLOW_SECONDS = 3.0, 0.02
"""A server is slow that takes so many times as long as the quickest, and that long."""
REMEMBERED_ANSWERS, HALF_LIFE_SECONDS = 4, 10.0
"""By which the time that a server takes is known: it counts half when no answer has come for so long."""

SCHEMES = ("http://", "https://", "grpc://", "grpcs://")


@dataclass(eq=False)
class Endpoint:
    """A server's address; until `rests_until`, of `time.monotonic`, others are asked first.

    Attributes:
        url: its `host:port`.
        name: the `host:port` that the client was given; another one than `url` where the host is a name of several.
        plain_until: it is of an earlier release; whether it still is, is tried again after that.
        sent: when each request was sent that it has not answered yet, and how many texts it holds.
        took: seconds that each of its last answers took, for a text.
    """

    url: str
    name: str
    connection: Any = None
    rests_until: float = 0.0
    has_answered: bool = False
    next_rest_seconds: float = FIRST_REST_SECONDS
    plain_until: float = 0.0
    answered_at: float = 0.0
    sent: dict[int, tuple[float, int]] = field(default_factory=dict)
    took: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED_ANSWERS))

    def worded(self, request: dict[str, Any]) -> dict[str, Any]:
        """The request as this server takes it."""
        return without_further(request) if time.monotonic() < self.plain_until else request

    def pace(self, now: float) -> float:
        """Seconds that it takes for a text, as far as is known: as its last answers took, or as one is overdue."""
        since, texts = next(iter(self.sent.values()), (now, 1))
        waiting = (now - since) / texts
        halves = (now - self.answered_at) / HALF_LIFE_SECONDS
        return max(waiting, (median(self.took) if self.took else 0.0) * 0.5**halves)

    def is_plain(self) -> None:
        """It is of an earlier release."""
        self.plain_until = time.monotonic() + PLAIN_SECONDS


class Endpoints:
    """The servers: asked is the one with the fewest requests under way, of equals the next in turn.

    Requests at a slow server count as many times as it is slower, so that it holds up little. Of one that failed, the
    turn comes when the others failed too or its rest is over. Usable from several threads.

    Args:
        urls: `host:port`, one or several.
        connect: makes a connection to an endpoint's `url`; called when it is first needed, because one for asyncio
            belongs to the loop that runs then.
        disconnect: closes the connection of a server that its name no longer stands for; called as `connect` is.

    Attributes:
        closed: set once nothing may be asked any more.

    Raises:
        InputError: no URL, or one that is no `host:port`.
    """

    def __init__(
        self,
        urls: str | Sequence[str],
        connect: Callable[[Endpoint], Any],
        disconnect: Callable[[Any], object] = lambda connection: None,
    ) -> None:
        urls = [urls] if isinstance(urls, str) else urls
        if not urls:
            raise InputError(f"there is no server to ask; give one or more addresses such as {DEFAULT_URL}")
        for url in urls:
            host, port = _split(url)
            if url.startswith(SCHEMES) or not host or not port.isdecimal() or not 0 < int(port) <= 65535:
                raise InputError(f"server address {url!r}: give host:port without a scheme, such as {DEFAULT_URL}")
        self._endpoints = [Endpoint(url, url) for url in dict.fromkeys(urls)]
        self._names = {url: _Name(url) for url in urls if is_name(url)}
        self._retired: list[Endpoint] = []
        self._connect, self._disconnect = connect, disconnect
        self._next, self._lock = 0, threading.Lock()
        self.closed = threading.Event()

    def pick(self, tried: Collection[Endpoint]) -> Endpoint:
        """The endpoint to ask next, one that is not among those `tried` unless all are.

        Raises:
            ServerError: the endpoints are closed.
        """
        with self._lock:
            if self.closed.is_set():
                raise ServerError("this client is closed; make a new one")
            now = time.monotonic()
            self._renew(now)
            in_turn = self._endpoints[self._next :] + self._endpoints[: self._next]
            fresh = [endpoint for endpoint in in_turn if endpoint not in tried] or in_turn
            paces = {each: max(SLOW_SECONDS, each.pace(now)) for each in fresh}
            quickest = min((paces[each] for each in fresh if each.took), default=SLOW_SECONDS)

            def cost(each: Endpoint) -> tuple[float, float]:
                slower = paces[each] / quickest
                return max(0.0, each.rests_until - now), (len(each.sent) + 1) * (slower if slower > SLOW else 1.0)

            endpoint = min(fresh, key=cost)
            self._next = (self._endpoints.index(endpoint) + 1) % len(self._endpoints)
            if endpoint.connection is None:
                endpoint.connection = self._connect(endpoint)
            return endpoint

    def has_others(self, tried: Collection[Endpoint]) -> bool:
        """Whether there is an endpoint that is not among those `tried`."""
        with self._lock:
            return any(endpoint not in tried for endpoint in self._endpoints)

    def follow(self, endpoint: Endpoint, answer: Future[Any] | Any, texts: int) -> None:
        """Count a request of so many texts as under way until `answer`, a future of threads or asyncio, is there."""
        with self._lock:
            endpoint.sent[id(answer)] = time.monotonic(), texts

        def ended(_: object) -> None:
            with self._lock:
                since, _ = endpoint.sent.pop(id(answer))
                if answer.cancelled() or answer.exception():
                    return  # failing is quick
                endpoint.answered_at = time.monotonic()
                endpoint.took.append((endpoint.answered_at - since) / texts)

        answer.add_done_callback(ended)

    def rest(self, endpoint: Endpoint) -> None:
        """Pass over `endpoint` for a moment, for a longer one each time that it fails anew."""
        with self._lock:
            now = time.monotonic()
            if endpoint.rests_until <= now:  # else it is the same outage, seen by calls at the same time
                endpoint.rests_until = now + endpoint.next_rest_seconds
                endpoint.next_rest_seconds = min(LONGEST_REST_SECONDS, 2 * endpoint.next_rest_seconds)
            if name := self._names.get(endpoint.name):
                name.due = min(name.due, name.asked + FIRST_REST_SECONDS)

    def wake(self, endpoint: Endpoint) -> None:
        """`endpoint` answered."""
        with self._lock:
            endpoint.rests_until, endpoint.next_rest_seconds = 0.0, FIRST_REST_SECONDS
            endpoint.has_answered = True

    def answered(self) -> list[Endpoint]:
        """Those that have answered, in the order in which they were named."""
        return [endpoint for endpoint in self._endpoints if endpoint.has_answered]

    def close(self) -> list[Any]:
        """Give out no endpoint any more; the connections that were made, for the caller to close."""
        with self._lock:
            self.closed.set()
            made = (endpoint.connection for endpoint in [*self._endpoints, *self._retired])
            return [connection for connection in made if connection is not None]

    def _renew(self, now: float) -> None:
        """Take over what look-ups have found, and begin those that are due."""
        for url, name in self._names.items():
            if name.found:
                self._take_over(url, name.found)
                name.found = []
            if now >= name.due:
                name.asked, name.due = now, now + LOOK_UP_SECONDS
                threading.Thread(target=name.look_up, daemon=True).start()
        for idle in [each for each in self._retired if not each.sent and each.rests_until <= now]:
            self._retired.remove(idle)
            if idle.connection is not None:
                self._disconnect(idle.connection)

    def _take_over(self, url: str, found: list[str]) -> None:
        own = {endpoint.url: endpoint for endpoint in self._endpoints if endpoint.name == url}
        others = [endpoint for endpoint in self._endpoints if endpoint.name != url]
        known = {endpoint.url for endpoint in others}  # by an address of its own, or another name
        new = [own.pop(each) if each in own else Endpoint(each, url) for each in found if each not in known]
        for gone in own.values():
            gone.rests_until = time.monotonic() + LOOK_UP_SECONDS  # whoever was given it last may not have sent yet
            self._retired.append(gone)
        places = (place for place, each in enumerate(self._endpoints) if each.name == url)
        place = next(places, len(others))
        self._endpoints = [*others[:place], *new, *others[place:]]
        self._next %= len(self._endpoints)


class _Name:
    """A name that is looked up from time to time, the next time when it is `due`, last when it was `asked`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.asked = self.due = 0.0
        self.found: list[str] = []

    def look_up(self) -> None:
        self.found = addresses(self._url)


def is_name(url: str) -> bool:
    """Whether the host in `host:port` is a name that this machine, rather than a proxy, finds the servers of."""
    try:
        ipaddress.ip_address(_split(url)[0])
    except ValueError:
        return not proxy_variable() or is_near(url)
    return False


def addresses(url: str) -> list[str]:
    """`host:port` for each of the addresses that the name in `url` stands for; where that is one, the name itself.

    Of both families of addresses the one that has several, and that the system prefers: a server may have one of each.
    None where the name is not found.
    """
    host, port = _split(url)
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    families: dict[Any, list[str]] = {}
    for family, *_, address in entries:
        families.setdefault(family, []).append(str(address[0]))
    for family, hosts in families.items():
        if len(several := sorted(set(hosts))) > 1:
            return [f"[{each}]:{port}" if family == socket.AF_INET6 else f"{each}:{port}" for each in several]
    return [url]


def _split(url: str) -> tuple[str, str]:
    host, _, port = url.rpartition(":")
    return host.strip("[]"), port
