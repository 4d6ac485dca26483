"""An HTTP server that callers can neither fill, starve nor hang: bodies, connections and times have bounds."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable

from serving.process.arrivals import Arrivals

PIECE_BYTES = 1 << 16
DRAINED_BYTES = 64 << 20
CONNECTIONS_PER_REQUEST = 4
"""How many may be arriving for each that is answered."""
LENGTH = re.compile("[0-9]{1,19}")
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:;[^\r\n]*)?\r?\n")
LINE_BYTES = 256
LATE = "the request did not arrive in time"
JSON_TYPE = "application/json; charset=utf-8"


Answer = tuple[int, bytes, Mapping[str, str]]
"""Status, body and headers."""


class Refusal(Exception):
    """A request that gets an error; its connection is closed where the rest of it was not read."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


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


class DoorHandler(BaseHTTPRequestHandler):
    """What is common to handlers; one adds `do_POST` and the like, which take the body from `read_body`."""

    protocol_version = "HTTP/1.1"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body leave in one piece
    server: HttpDoor
    hint = ""
    """Added to what is said of a request that is no HTTP."""
    most_chunks = 0
    """A body may come in so many; in none, its length has to be stated."""

    @staticmethod
    def error(status: int, message: str) -> Mapping[str, Any]:
        """The fields of an answer that says what was wrong."""
        raise NotImplementedError

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(2 * self.server.seconds)  # to take an answer; what comes in has less

    def handle_one_request(self) -> None:
        self._arrival = self.server.arrivals.expect(lambda: self.connection.shutdown(socket.SHUT_RD))
        try:
            super().handle_one_request()
        finally:
            self.server.arrivals.finish(self._arrival)

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        if self._arrival.late:  # headers that were cut off look complete
            self.send_error(408)
        return not self._arrival.late

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class refuses by itself, answered as everything else."""
        self.close_connection = True
        reason = message or "this is no HTTP request"
        if self._arrival.late:
            code, reason = 408, LATE
        self.send_json(code, self.error(code, f"{reason}{self.hint}"))

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: texts must not get into a log."""

    def read_body(self) -> bytes:
        """The request's body; raises Refusal, and then the rest of it is not read."""
        lengths = self.headers.get_all("Content-Length", [])
        chunked = self.headers.get_all("Transfer-Encoding", [])
        if self.headers.defects:
            raise Refusal(400, "a line of the headers is no header")
        if not lengths and not chunked:
            raise Refusal(411, "there is no Content-Length; state how many bytes the body has")
        # Anything else a proxy before this might understand otherwise, and take one request for two.
        if self.most_chunks and not lengths and [each.lower() for each in chunked] == ["chunked"]:
            body = self._read_chunks()
        elif len(lengths) != 1 or not LENGTH.fullmatch(lengths[0]) or chunked:
            raise Refusal(400, "give one Content-Length, a number, and no Transfer-Encoding")
        else:
            self._require_fits(int(lengths[0]))
            body = self._read(int(lengths[0]))
        self.server.arrivals.finish(self._arrival)
        return body

    def _require_fits(self, size: int) -> None:
        if size > self.server.max_bytes:
            limit = f"send at most {self.server.max_bytes}, the rest in other requests"
            raise Refusal(413, f"the request has {size} bytes; {limit}")

    def _read(self, missing: int) -> bytes:
        pieces = []
        while missing:
            try:
                piece = self.rfile.read1(min(missing, PIECE_BYTES))
            except OSError:
                piece = b""
            if not piece:
                raise Refusal(408, f"{missing} bytes of the request did not arrive in time")
            missing -= len(piece)
            pieces.append(piece)
        return b"".join(pieces)

    def _read_line(self) -> bytes:
        try:
            return self.rfile.readline(LINE_BYTES)
        except OSError:
            raise Refusal(408, LATE) from None

    def _read_chunks(self) -> bytes:
        body = bytearray()
        for _ in range(self.most_chunks):
            line = CHUNK_LINE.fullmatch(self._read_line())
            if line is None:
                raise Refusal(408 if self._arrival.late else 400, "a chunk of the body does not begin with its length")
            size = int(line[1], 16)
            self._require_fits(len(body) + size)
            if size == 0:
                while (line_after := self._read_line().strip()) and len(line_after) < LINE_BYTES - 2:
                    pass  # what stands behind the body is not for us
                return bytes(body)
            body += self._read(size)
            if self._read_line().strip():
                raise Refusal(400, "a chunk of the body is longer than it says")
        raise Refusal(413, f"the body comes in more than {self.most_chunks} chunks; state its Content-Length instead")

    def refuse(self, refusal: Refusal) -> None:
        """Answer a request of which something was not read, and read on a while.

        Closing before a caller has sent all would take the answer from it.
        """
        self.close_connection = True
        self.send_json(refusal.status, self.error(refusal.status, str(refusal)))
        left = DRAINED_BYTES
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            while left > 0 and (piece := self.rfile.read1(PIECE_BYTES)):
                left -= len(piece)

    def answer_in_turn(self, compute: Callable[[], Answer]) -> None:
        """Send what `compute` gives, or a refusal where too many requests are being answered.

        A caller that is slow to take its answer holds no place meanwhile.
        """
        if not self.server.requests.acquire(blocking=False):
            self.send_json(503, self.error(503, "too many requests at the same time; ask again later"))
            return
        try:
            answer = compute()
        finally:
            self.server.requests.release()
        self.send_body(*answer)

    def send_json(self, status: int, answer: Mapping[str, Any]) -> None:
        self.send_body(*as_json(status, answer))

    def send_body(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


def as_json(status: int, answer: Mapping[str, Any]) -> Answer:
    """An answer whose body is JSON."""
    return status, json.dumps(answer, ensure_ascii=False).encode(), {"Content-Type": JSON_TYPE}


def _full(handler: type[DoorHandler]) -> bytes:
    """What a connection gets that is one too many."""
    body = json.dumps(handler.error(503, "too many connections; ask again later")).encode()
    headers = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return f"HTTP/1.1 503 Service Unavailable\r\n{headers}".encode() + body
