"""Who may ask the console, and how much at once: a layer before its routes.

A page of another site can make a browser send requests to a loopback address, with a name that leads there if need be
(DNS rebinding). So the name that was asked for must be one of ours, what comes from a page must come from our own, and
a body must be JSON, or a file of no stated kind, neither of which other sites may send unasked.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from ipaddress import ip_address
from typing import Any

from serving.console.files.apart import MOST_FILE_BYTES

MOST_BYTES, MOST_HELD = 16 << 20, 128 << 20
"""Of a request's body, and of all that are being read."""
BODY_SECONDS = 30.0
"""That a body may take to arrive."""
COOKIE = "console-token"
SIGN_IN, ICON = "/sign-in", "/favicon.ico"
JSON, FILE = "application/json", "application/octet-stream"
BODIES = {SIGN_IN: (JSON, 4096), "/texts": (FILE, MOST_FILE_BYTES), "/workbook": (JSON, MOST_FILE_BYTES)}
"""Kind and most bytes of the bodies of some paths; of others JSON, and MOST_BYTES."""
_BODY = {JSON: "JSON", FILE: "a file"}
OPEN_PATHS = ("/", "/health", SIGN_IN, ICON)
"""That need no token: the page holds nothing of the model."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Any, Receive, Send], Awaitable[None]]
LINGER_BYTES, LINGER_SECONDS = 64 << 20, 5.0
"""Of what comes after a refusal: read and thrown away, or the caller's system would drop the refusal unread."""
CALLER = "caller"
"""Where a request's scope holds who sends it, as the proxy says."""


class Refused(Exception):
    """A request that goes no further, with its HTTP status."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Door:
    """An ASGI application before another one.

    Args:
        application: what it guards.
        hosts: the names, each with its port where it has one, that the console is asked by.
        token: what callers must show, as `Authorization: Bearer`, as the password of `Authorization: Basic`, or as the
            page's cookie; empty where none is needed.
        headers: what every answer bears.
        callers: reads who sends a request.
    """

    def __init__(
        self,
        application: Application,
        hosts: Sequence[str],
        token: str,
        headers: Sequence[tuple[bytes, bytes]],
        callers: NamedCallers | None = None,
    ) -> None:
        self._application, self._headers, self._callers = application, list(headers), callers
        self._hosts, self._token, self._held = {host.lower() for host in hosts}, token, 0

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._application(scope, receive, send)
        if scope["type"] != "http":
            return None

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *self._headers]
            await send(message)

        ended = False

        async def arriving() -> Message:
            nonlocal ended
            message = await receive()
            ended = not message.get("more_body", False)
            return message

        try:
            self._check(scope)
            if self._callers:
                scope[CALLER] = self._callers.read(scope)
            body = await asyncio.wait_for(self._body(scope, arriving), BODY_SECONDS)
        except asyncio.TimeoutError:
            return await refuse(answer, Refused(408, f"the request took more than {BODY_SECONDS:g} s to arrive"))
        except Refused as refused:
            return await refuse(answer, refused, lambda: not ended, arriving)
        given = False

        async def replay() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        return await self._application(scope, replay, answer)

    def _check(self, scope: Any) -> None:
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get(b"host", "")
        if host.lower() not in self._hosts:
            raise Refused(421, f"the console is not asked by the name {host!r:.80}; --allowed_host adds one")
        origin = headers.get(b"origin")
        if origin is not None and origin.split("://")[-1].lower() != host.lower():
            raise Refused(403, "a page of another site may not ask the console")
        kind = headers.get(b"content-type", "").split(";")[0].strip().lower()
        needed, _ = BODIES.get(scope["path"], (JSON, MOST_BYTES))
        if scope["method"] == "POST" and kind != needed:
            raise Refused(415, f"send {_BODY[needed]}, with the header Content-Type: {needed}")
        if self._token and scope["path"] not in OPEN_PATHS and not self.is_token(_shown(headers)):
            raise Refused(401, "a token is needed: Authorization: Bearer TOKEN, or sign in on the page")

    async def _body(self, scope: Any, receive: Receive) -> bytes:
        (_, most), size = BODIES.get(scope["path"], (JSON, MOST_BYTES)), 0
        parts = []
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Refused(400, "the request ended before its body did")
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                self._held += len(parts[-1])
                if size > most:
                    raise Refused(413, f"the request is larger than {most:,} bytes; send its texts in several")
                if self._held > MOST_HELD:
                    raise Refused(503, "too many large requests arrive at once; send this one again later")
                if not message.get("more_body", False):
                    return b"".join(parts)
        finally:
            self._held -= size

    def is_token(self, shown: str) -> bool:
        """Whether a caller shows the token."""
        return hmac.compare_digest(shown.encode("utf-8", "replace"), self._token.encode())


def _shown(headers: dict[bytes, str]) -> str:
    kind, _, shown = headers.get(b"authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return shown.strip()
    if kind.lower() == "basic":  # as Label Studio asks, with any name and the token as password
        with contextlib.suppress(ValueError):
            return base64.b64decode(shown, validate=True).decode().partition(":")[2]
    # Cookies of others on this address are none of ours, and may have any form.
    cookies = (each.strip().partition("=") for each in headers.get(b"cookie", "").split(";"))
    return next((value for name, _, value in cookies if name == COOKIE), "")


class NamedCallers:
    """Who sends a request, by a header that a proxy sets once it knows.

    Args:
        header: its name.
        proxies: addresses that the proxy asks from. The header of anybody else is refused: whoever reaches the console
            without the proxy could claim any name.
    """

    def __init__(self, header: str, proxies: Sequence[str]) -> None:
        self._header = header.lower().encode("ascii")
        self._proxies = {ip_address(proxy) for proxy in proxies}

    def read(self, scope: Any) -> str | None:
        """The name; None where the proxy says none. Raises Refused for one that cannot be trusted or read."""
        given = [value for name, value in scope["headers"] if name.lower() == self._header]
        if not given:
            return None
        name = self._header.decode()
        peer = ip_address(scope["client"][0])
        if (getattr(peer, "ipv4_mapped", None) or peer) not in self._proxies:
            raise Refused(403, f"only the proxy says who asks; leave out the header {name}")
        if len(given) > 1:
            raise Refused(400, f"the header {name} stands {len(given)} times; let the proxy replace that of the caller")
        try:
            return given[0].decode("utf-8").strip() or None
        except UnicodeDecodeError:
            raise Refused(400, f"the header {name} is not UTF-8") from None


async def _throw_away(more: Callable[[], bool], receive: Receive) -> None:
    left = LINGER_BYTES
    while more() and left > 0:
        left -= len((await receive()).get("body", b""))


async def refuse(
    send: Send, refused: Refused, more: Callable[[], bool] = lambda: False, receive: Receive | None = None
) -> None:
    """Answer with a refusal; of a body that still arrives, as `more` tells, some is read before the connection ends."""
    body = json.dumps({"error": str(refused)}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if refused.status in (400, 408, 413, 503):
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    if receive:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(_throw_away(more, receive), LINGER_SECONDS)
    await send({"type": "http.response.body", "body": b""})
