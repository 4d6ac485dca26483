"""An HTTP server that callers can neither fill, starve nor hang: bodies, connections and times have bounds."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from http.server import ThreadingHTTPServer
from typing import Any

from serving.process.arrivals import BODIES, Arrivals, Budget
from serving.process.http_handler import PIECE_BYTES, DoorHandler

CONNECTIONS_PER_REQUEST = 4
"""How many may be arriving for each that is answered."""


class HttpDoor(ThreadingHTTPServer):
    """Answers HTTP requests by a handler, in a thread for each connection.

    Args:
        address: host and port to listen on.
        handler: what answers.
        max_bytes: of a request's body.
        max_requests: that are answered at the same time; one more is refused at once.
        seconds: that a request may take to arrive, from its first line on, or a connection may be idle.
        shared: let several processes listen on the same port.

    Raises:
        OSError: the address cannot be listened on.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        handler: type[DoorHandler],
        max_bytes: int,
        max_requests: int,
        seconds: float,
        shared: bool = False,
    ) -> None:
        self.max_bytes, self.seconds, self._shared = max_bytes, seconds, shared
        self.arrivals = Arrivals(seconds)
        self.bodies = Budget(BODIES * max_bytes)
        self.requests = threading.BoundedSemaphore(max_requests)
        self._connections = threading.BoundedSemaphore(CONNECTIONS_PER_REQUEST * max_requests)
        self._full = _full(handler)
        super().__init__(address, handler)

    def server_bind(self) -> None:
        if self._shared:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._connections.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            with contextlib.suppress(OSError):  # nobody waits for a caller here
                request.setblocking(False)
                request.sendall(self._full)
                request.recv(PIECE_BYTES)
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._connections.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is no news."""


def _full(handler: type[DoorHandler]) -> bytes:
    """What a connection gets that is one too many."""
    body = json.dumps(handler.error(503, "too many connections; ask again later")).encode()
    headers = (
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
    )
    return f"HTTP/1.1 503 Service Unavailable\r\n{headers}".encode() + body
