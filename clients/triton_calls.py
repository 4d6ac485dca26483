"""Calls to one or several Triton servers: which is asked, how often and how long, and what its failures mean.

An attempt that ends with UNAVAILABLE, or at a server that has no version of the model loaded just now, is made again,
first at the other endpoints and then, after a pause, at all of them; no other failure is, because the same request
would fail again or has cost the server its time already. The pauses grow exponentially with full jitter (M. Brooker,
"Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Callable

from tritonclient.utils import InferenceServerException

from clients.patience import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, check_patience
from clients.proxies import channel_options, is_near, proxy_variable
from clients.tls import TlsOptions
from pipeline.errors import InputError, ServerError

DEFAULT_URL = "127.0.0.1:8001"
FIRST_REST_SECONDS, LONGEST_REST_SECONDS = 1.0, 30.0
CONNECT_SECONDS = 5.0
PARTING_SECONDS = 1.0
"""For requests under way when a client is closed: closing cancels the rest, see `triton_request.patience`."""

SCHEMES = ("http://", "https://", "grpc://", "grpcs://")

OVERLOAD_SIGNS = ("overloaded", "exceeds maximum queue size", "timeout expired")
NO_VERSION_SIGN = "no available versions"
"""Of NOT_FOUND where the model is known, and comes or goes just now; another name would be NOT_FOUND for ever."""
NOT_READY_SIGNS = ("server is stopping", "not ready", NO_VERSION_SIGN)
TOO_LARGE_SIGNS = ("message larger than max",)
TLS_SIGNS = ("handshake", "certificate")
CLOSED_SIGNS = ("socket closed", "connection reset", "failed parsing http")


@dataclass(eq=False)
class Endpoint:
    """A server's address; until `rests_until`, of `time.monotonic`, others are asked first."""

    url: str
    connection: Any = None
    rests_until: float = 0.0
    has_answered: bool = False
    next_rest_seconds: float = FIRST_REST_SECONDS


class Endpoints:
    """The servers, asked in turn; of one that failed, the turn comes when the others failed too or its rest is over.

    Usable from several threads.

    Args:
        urls: `host:port`, one or several.
        connect: makes a connection to a URL; called when the endpoint is first needed, because one for asyncio belongs
            to the loop that runs then.

    Attributes:
        closed: set once nothing may be asked any more.

    Raises:
        InputError: no URL, or one that is no `host:port`.
    """

    def __init__(self, urls: str | Sequence[str], connect: Callable[[str], Any]) -> None:
        urls = [urls] if isinstance(urls, str) else urls
        if not urls:
            raise InputError(f"there is no server to ask; give one or more addresses such as {DEFAULT_URL}")
        for url in urls:
            if url.startswith(SCHEMES) or ":" not in url:
                raise InputError(f"server address {url!r}: give host:port without a scheme, such as {DEFAULT_URL}")
        self._endpoints = [Endpoint(url) for url in urls]
        self._connect, self._next, self._lock = connect, 0, threading.Lock()
        self.closed = threading.Event()

    def __len__(self) -> int:
        return len(self._endpoints)

    def pick(self, tried: Collection[Endpoint]) -> Endpoint:
        """The next endpoint that is not among those `tried`, which must not be all.

        Raises:
            ServerError: the endpoints are closed.
        """
        with self._lock:
            if self.closed.is_set():
                raise ServerError("this client is closed; make a new one")
            now = time.monotonic()
            in_turn = self._endpoints[self._next :] + self._endpoints[: self._next]
            fresh = [endpoint for endpoint in in_turn if endpoint not in tried]
            endpoint = min(fresh, key=lambda each: max(0.0, each.rests_until - now))
            self._next = (self._endpoints.index(endpoint) + 1) % len(self._endpoints)
            if endpoint.connection is None:
                endpoint.connection = self._connect(endpoint.url)
            return endpoint

    def rest(self, endpoint: Endpoint) -> None:
        """Pass over `endpoint` for a moment, for a longer one each time that it fails anew."""
        with self._lock:
            now = time.monotonic()
            if endpoint.rests_until <= now:  # else it is the same outage, seen by calls at the same time
                endpoint.rests_until = now + endpoint.next_rest_seconds
                endpoint.next_rest_seconds = min(LONGEST_REST_SECONDS, 2 * endpoint.next_rest_seconds)

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
            return [endpoint.connection for endpoint in self._endpoints if endpoint.connection is not None]


class Call:
    """The attempts of one call:

        while True:
            connection, seconds = call.attempt()
            try:
                answer = send(connection, seconds)
            except InferenceServerException as error:
                sleep(call.failed(error))
            else:
                call.succeeded()
                return answer

    It is over `timeout_seconds` after this object was made, pauses included; `retries` counts the times that all
    endpoints are asked once more. While one of them is there and overloaded it is not counted down, unless it is 0:
    whoever comes too often has to wait for the turn.
    """

    def __init__(self, endpoints: Endpoints, timeout_seconds: float, retries: int) -> None:
        self._endpoints, self._timeout_seconds, self._retries_left = endpoints, timeout_seconds, retries
        self._deadline = time.monotonic() + timeout_seconds
        self._longest_pause = FIRST_PAUSE_SECONDS
        self._faults: dict[Endpoint, ServerError] = {}
        self._overloaded = False
        self._current: Endpoint

    def attempt(self) -> tuple[Any, float]:
        """The connection to use now and the seconds left."""
        self._current = self._endpoints.pick(self._faults)
        return self._current.connection, max(0.0, self._deadline - time.monotonic())

    def succeeded(self) -> None:
        self._endpoints.wake(self._current)

    def failed(self, error: InferenceServerException) -> float:
        """The seconds to pause before the next attempt.

        Raises:
            InputError: the server refuses what it was sent.
            ServerError: it fails otherwise, or there is no time or attempt left.
        """
        status, message = str(error.status() or ""), error.message() or str(error)
        url = self._current.url
        if "INVALID_ARGUMENT" in status or _says(message, TOO_LARGE_SIGNS):
            raise InputError(message) from error
        late = time.monotonic() >= self._deadline  # the server, which is told the deadline, may be the first to give up
        if "DEADLINE_EXCEEDED" in status or ("UNAVAILABLE" in status and late):
            self._endpoints.rest(self._current)
            raise ServerError(
                f"{url} gave no answer within {self._timeout_seconds:g} s; allow more time, or ask for less at once"
            ) from error
        comes_or_goes = "NOT_FOUND" in status and _says(message, [NO_VERSION_SIGN])
        if "UNAVAILABLE" not in status and not comes_or_goes:
            raise ServerError(f"{url}: {message}") from error
        self._endpoints.rest(self._current)
        self._faults[self._current] = ServerError(_unavailable(url, message))
        self._overloaded |= _says(message, OVERLOAD_SIGNS)
        if len(self._faults) < len(self._endpoints):
            return 0.0
        pause = random.uniform(0, self._longest_pause)
        if self._retries_left == 0 or time.monotonic() + pause >= self._deadline:
            raise ServerError("; ".join(map(str, self._faults.values()))) from error
        self._retries_left -= not self._overloaded
        self._overloaded = False
        self._longest_pause = min(LONGEST_PAUSE_SECONDS, 2 * self._longest_pause)
        self._faults.clear()
        return pause


class Calls:
    """Makes a client's calls, each over its endpoints and as patient as the client is.

    Args:
        connection: tritonclient's InferenceServerClient, the one for threads or the one for asyncio.
        urls: as `Endpoints` takes them.
        timeout_seconds: how long a call may take, above 0.
        retries: how often all endpoints are asked once more, 0 or more.
        tls: None leaves connections unencrypted.

    Raises:
        InputError: a value outside those.
    """

    def __init__(
        self,
        connection: Callable[..., Any],
        urls: str | Sequence[str],
        timeout_seconds: float,
        retries: int,
        tls: TlsOptions | None,
    ) -> None:
        check_patience(timeout_seconds, retries)
        self._timeout_seconds, self._retries = timeout_seconds, retries
        credentials = tls.credentials() if tls else None
        self.endpoints = Endpoints(
            urls, lambda url: connection(url, channel_args=_channel_options(url), creds=credentials)
        )

    def begin(self) -> Call:
        return Call(self.endpoints, self._timeout_seconds, self._retries)


def _channel_options(url: str) -> list[tuple[str, int]]:
    return [
        *channel_options(url),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", -1),
        # gRPC waits between its own attempts to connect, up to two minutes, and fails all calls meanwhile.
        ("grpc.initial_reconnect_backoff_ms", int(FIRST_PAUSE_SECONDS * 1000)),
        ("grpc.max_reconnect_backoff_ms", int(FIRST_REST_SECONDS * 1000)),
        # Despite its name, how long an attempt to connect may take.
        ("grpc.min_reconnect_backoff_ms", int(CONNECT_SECONDS * 1000)),
    ]


def _says(message: str, signs: Sequence[str]) -> bool:
    return any(sign in message.lower() for sign in signs)


def _unavailable(url: str, message: str) -> str:
    """What UNAVAILABLE means; gRPC tells only by its message whether it comes from a server."""
    if _says(message, OVERLOAD_SIGNS):
        return f"{url} is overloaded ({message}); send less at once, allow more retries and time, or add a server"
    if _says(message, NOT_READY_SIGNS):
        return f"{url} is not ready ({message}); ask again in a moment"
    if _says(message, TLS_SIGNS):
        return f"no TLS connection to {url} ({message}); check the TLS options, and that the server uses TLS at all"
    if _says(message, CLOSED_SIGNS) and _says(message, ["failed to connect"]):
        return (
            f"no gRPC connection to {url} ({message}); check that this is the server's gRPC port, and whether it "
            "wants TLS or a client certificate"
        )
    proxy = proxy_variable()
    way = f"; it was asked through the proxy that {proxy} names" if proxy and not is_near(url) else ""
    return f"no Triton server answers at {url} ({message}); start one with `make serve`, or check the address{way}"
