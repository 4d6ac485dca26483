"""Calls to one or several Triton servers: which is asked, how often and how long, and what its failures mean.

An attempt that ends with UNAVAILABLE, or at a server that has no version of the model loaded just now, is made again,
first at the other endpoints and then, after a pause, at all of them; no other failure is, because the same request
would fail again or has cost the server its time already. The pauses grow exponentially with full jitter (M. Brooker,
"Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any, Callable

from tritonclient.utils import InferenceServerException

from clients.endpoints import FIRST_REST_SECONDS, Endpoint, Endpoints
from clients.patience import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, check_patience
from clients.proxies import channel_options, is_near, proxy_variable
from clients.tls import TlsOptions
from clients.triton_request import lacks_further
from pipeline.errors import InputError, ServerError

CONNECT_SECONDS = 5.0
PARTING_SECONDS = 1.0
"""For requests under way when a client is closed: closing cancels the rest, see `triton_request.patience`."""

OVERLOAD_SIGNS = ("overloaded", "exceeds maximum queue size", "timeout expired")
NO_VERSION_SIGN = "no available versions"
"""Of NOT_FOUND where the model is known, and comes or goes just now; another name would be NOT_FOUND for ever."""
NOT_READY_SIGNS = ("server is stopping", "not ready", NO_VERSION_SIGN)
TOO_LARGE_SIGNS = ("message larger than max",)
TLS_SIGNS = ("handshake", "certificate")
CLOSED_SIGNS = ("socket closed", "connection reset", "failed parsing http")


class Call:
    """The attempts of one call:

        while True:
            endpoint, seconds = call.attempt()
            try:
                answer = send(endpoint, seconds)
            except InferenceServerException as error:
                sleep(call.failed(error))
            else:
                call.succeeded()
                return answer

    It is over at `deadline`, of `time.monotonic`, pauses included, by default `timeout_seconds` after this object was
    made; `retries` counts the times that all endpoints are asked once more. While one of them is there and overloaded
    it is not counted down, unless it is 0: whoever comes too often has to wait for the turn.
    """

    def __init__(
        self, endpoints: Endpoints, timeout_seconds: float, retries: int, deadline: float | None = None
    ) -> None:
        self._endpoints, self._timeout_seconds, self._retries_left = endpoints, timeout_seconds, retries
        self._deadline = time.monotonic() + timeout_seconds if deadline is None else deadline
        self._longest_pause = FIRST_PAUSE_SECONDS
        self._faults: dict[Endpoint, ServerError] = {}
        self._overloaded = False
        self._current: Endpoint
        self._once_more = False
        self._found_plain: set[Endpoint] = set()

    def attempt(self) -> tuple[Endpoint, float]:
        """The endpoint to ask now and the seconds left."""
        if not self._once_more:
            self._current = self._endpoints.pick(self._faults)
        self._once_more = False
        return self._current, max(0.0, self._deadline - time.monotonic())

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
        if lacks_further(message) and self._current not in self._found_plain:
            self._found_plain.add(self._current)
            self._current.is_plain()
            self._once_more = True
            return 0.0
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
            self._endpoints.rest(self._current)  # others may do better
            raise ServerError(f"{url}: {message}") from error
        self._endpoints.rest(self._current)
        self._faults[self._current] = ServerError(_unavailable(url, message))
        self._overloaded |= _says(message, OVERLOAD_SIGNS)
        if self._endpoints.has_others(self._faults):
            return 0.0
        pause = random.uniform(0, self._longest_pause)
        if self._retries_left == 0 or time.monotonic() + pause >= self._deadline:
            raise ServerError("; ".join(map(str, self._faults.values()))) from error
        self._retries_left -= not self._overloaded
        self._overloaded = False
        self._longest_pause = min(LONGEST_PAUSE_SECONDS, 2 * self._longest_pause)
        self._faults.clear()
        self._found_plain.clear()
        return pause


class Calls:
    """Makes a client's calls, each over its endpoints and as patient as the client is.

    Args:
        connection: tritonclient's InferenceServerClient, the one for threads or the one for asyncio.
        urls: as `Endpoints` takes them.
        timeout_seconds: how long a call may take, above 0.
        retries: how often all endpoints are asked once more, 0 or more.
        tls: None leaves connections unencrypted.
        disconnect: closes a connection.

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
        disconnect: Callable[[Any], object],
    ) -> None:
        check_patience(timeout_seconds, retries)
        self.timeout_seconds, self._retries = timeout_seconds, retries
        credentials = tls.credentials() if tls else None

        def connect(endpoint: Endpoint) -> Any:
            return connection(endpoint.url, channel_args=_channel_options(endpoint), creds=credentials)

        self.endpoints = Endpoints(urls, connect, disconnect)

    def begin(self, deadline: float | None = None) -> Call:
        return Call(self.endpoints, self.timeout_seconds, self._retries, deadline)


def _channel_options(endpoint: Endpoint) -> list[tuple[str, Any]]:
    # A certificate is of the name, and so is what a proxy in between may choose by.
    named = ("grpc.ssl_target_name_override", "grpc.default_authority") if endpoint.url != endpoint.name else ()
    return [
        *channel_options(endpoint.url),
        *((option, endpoint.name.rpartition(":")[0]) for option in named),
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
