"""Connections to the console: how many at once, and how long one may say nothing, or read nothing."""

from __future__ import annotations

import asyncio
import fcntl
import json
import socket
import struct
import sys
import termios
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from serving.console.door import Receive, Refused, Send, refuse

MOST_CONNECTIONS = 4096
HEADER_SECONDS = 30.0
"""That the headers of a request may take to arrive; a body has a time of its own, see the door."""

READING_SECONDS, LEAST_READ_BYTES = 60.0, 65_536
"""In which a caller has to read so much of an answer, or all that is left of it."""


class BoundedProtocol(H11Protocol):
    """HTTP, as uvicorn speaks it, within bounds that hold before anybody has shown a token."""

    _late: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            self.app = _full
        self._watch()
        self._look(None, 0)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        if self._unread is not None:
            self._unread.cancel()
        super().connection_lost(exc)

    def _look(self, cycle: object, left: int) -> None:
        """End a connection whose caller reads too little of the answer of `cycle`, of which `left` bytes were left."""
        connection = self.transport.get_extra_info("socket")
        held = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4))  # by the system
        now = self.transport.get_write_buffer_size() + int.from_bytes(held, sys.byteorder)
        if 0 < left < now + min(LEAST_READ_BYTES, left) and cycle is self.cycle:
            at_once = struct.pack("ii", 1, 0)  # or the system would keep what it holds
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            return self.transport.abort()
        self._unread = self.loop.call_later(READING_SECONDS, self._look, self.cycle, now)

    def _watch(self) -> None:
        """Begin to count the seconds where a request is awaited, and end to where its headers are there."""
        if self.conn.their_state is not h11.IDLE:
            self._unwatch()
        elif self._late is None:
            self._late = self.loop.call_later(HEADER_SECONDS, self._close)

    def _unwatch(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _close(self) -> None:
        """Say why where something of a request has come; a connection that was only opened ends without a word."""
        if self.transport.is_closing():
            return
        if self.conn.trailing_data[0] and self.conn.our_state is h11.IDLE:
            body = json.dumps({"error": f"the headers took more than {HEADER_SECONDS:g} s to arrive"}).encode()
            headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
            response = h11.Response(status_code=408, headers=list(headers.items()))
            parts: tuple[Any, ...] = (response, h11.Data(data=body), h11.EndOfMessage())
            self.transport.write(b"".join(self.conn.send(part) or b"" for part in parts))
        self.transport.close()


async def _full(scope: Any, receive: Receive, send: Send) -> None:
    await refuse(send, Refused(503, "there are too many connections; ask again later"))
