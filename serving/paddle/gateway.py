"""HTTP for the service, in place of upstream's gateway.

That one, a compiled library, listens on all interfaces and cannot be told otherwise, and has no limits. This one takes
and gives the same JSON.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable

from pipeline.errors import InputError
from pipeline.service_messages import (
    HTTP_PATH,
    INPUT_ERROR,
    MODEL_ERROR,
    NO_SERVICE,
    OK,
    OVERLOADED,
    PARSING,
    TIMED_OUT,
    is_utf8,
)
from serving.paddle.arrivals import Arrivals

STATUS = {OK: 200, INPUT_ERROR: 400, NO_SERVICE: 404, OVERLOADED: 503, TIMED_OUT: 504}
PIECE_BYTES = 1 << 16
DRAINED_BYTES = 64 << 20
CONNECTIONS_PER_REQUEST = 4
"""How many may be arriving for each that is answered."""
LENGTH = re.compile("[0-9]{1,19}")
LATE = "the request did not arrive in time"


def _full() -> bytes:
    answer = {"err_no": OVERLOADED, "err_msg": "too many connections; ask again later", "key": [], "value": []}
    body = json.dumps(answer).encode()
    headers = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return f"HTTP/1.1 503 Service Unavailable\r\n{headers}".encode() + body


FULL = _full()
"""What a connection gets that is one too many."""


class HttpGateway(ThreadingHTTPServer):
    """Answers HTTP requests by a function.

    Args:
        address: host and port to listen on.
        answer: takes the fields of a request, and gives those of its answer, `err_no` among them.
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
        answer: Callable[[dict[str, Any]], Mapping[str, Any]],
        max_bytes: int,
        max_requests: int,
        seconds: float,
        shared: bool = False,
    ) -> None:
        self.answer, self.max_bytes, self.seconds, self._shared = answer, max_bytes, seconds, shared
        self.arrivals = Arrivals(seconds)
        self.requests = threading.BoundedSemaphore(max_requests)
        self._connections = threading.BoundedSemaphore(CONNECTIONS_PER_REQUEST * max_requests)
        super().__init__(address, _Handler)

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
                request.sendall(FULL)
                request.recv(PIECE_BYTES)
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._connections.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is no news."""


class _Refused(Exception):
    """A request that gets an error, after which its connection is closed: the rest of it was not read."""

    def __init__(self, status: int, err_no: int, message: str) -> None:
        super().__init__(message)
        self.status, self.err_no = status, err_no


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "seq_cls", ""
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body leave in one piece
    server: HttpGateway

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

    def do_POST(self) -> None:
        try:
            body = self._body()
        except _Refused as refused:
            self.close_connection = True
            self._send(refused.status, {"err_no": refused.err_no, "err_msg": str(refused)})
            self._drain()
            return
        if not self.server.requests.acquire(blocking=False):
            self._send(503, {"err_no": OVERLOADED, "err_msg": "too many requests at the same time; ask again later"})
            return
        try:
            answer = self._answer(body)
        finally:
            self.server.requests.release()
        self._send(STATUS.get(answer["err_no"], 500), answer)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class refuses by itself, answered as everything else."""
        self.close_connection = True
        reason = message or "this is no HTTP request"
        if self._arrival.late:
            code, reason = 408, LATE
        self._send(code, {"err_no": INPUT_ERROR, "err_msg": f"{reason}; POST to {HTTP_PATH}"})

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: texts must not get into a log."""

    def _body(self) -> bytes:
        if self.path.partition("?")[0] != HTTP_PATH:
            raise _Refused(404, NO_SERVICE, f"there is no {self.path!r:.100}; POST to {HTTP_PATH}")
        lengths = self.headers.get_all("Content-Length", [])
        if not lengths and "Transfer-Encoding" not in self.headers:
            raise _Refused(411, INPUT_ERROR, "there is no Content-Length; state how many bytes the body has")
        # Anything else a proxy before this might understand otherwise, and take one request for two.
        if len(lengths) != 1 or not LENGTH.fullmatch(lengths[0]) or "Transfer-Encoding" in self.headers:
            raise _Refused(400, INPUT_ERROR, "give one Content-Length, a number, and no Transfer-Encoding")
        if self.headers.defects:
            raise _Refused(400, INPUT_ERROR, "a line of the headers is no header")
        missing = int(lengths[0])
        if missing > self.server.max_bytes:
            limit = f"send at most {self.server.max_bytes}, the rest in other requests"
            raise _Refused(413, INPUT_ERROR, f"the request has {missing} bytes; {limit}")
        pieces = []
        while missing:
            try:
                piece = self.rfile.read1(min(missing, PIECE_BYTES))
            except OSError:
                piece = b""
            if not piece:
                raise _Refused(408, INPUT_ERROR, f"{missing} bytes of the request did not arrive in time")
            missing -= len(piece)
            pieces.append(piece)
        self.server.arrivals.finish(self._arrival)
        return b"".join(pieces)

    def _drain(self) -> None:
        """Read on a while: closing before a caller has sent all would take the answer from it."""
        left = DRAINED_BYTES
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            while left > 0 and (piece := self.rfile.read1(PIECE_BYTES)):
                left -= len(piece)

    def _answer(self, body: bytes) -> Mapping[str, Any]:
        try:
            with PARSING:
                fields = _fields(body)
            return self.server.answer(fields)
        except InputError as error:
            return {"err_no": INPUT_ERROR, "err_msg": str(error)}
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller is to get an answer
            return {"err_no": MODEL_ERROR, "err_msg": f"the service failed: {error!r}"}

    def _send(self, status: int, answer: Mapping[str, Any]) -> None:
        body = json.dumps({"err_no": OK, "err_msg": "", "key": [], "value": [], **answer}, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


def _fields(body: bytes) -> dict[str, Any]:
    """The fields of a request in JSON: `key` and `value`, lists of text; raises InputError."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the request is no JSON: {error}") from None
    if not isinstance(fields, dict):
        raise InputError('the request is no JSON object; send {"key": ["sentence"], "value": ["..."]}')
    if fields.get("tensors"):
        raise InputError("tensors are not taken; send texts as the value of the key sentence")
    for name in ("key", "value"):
        values = fields.setdefault(name, [])
        if not isinstance(values, list) or not all(map(is_utf8, values)):
            raise InputError(f"{name!r} is no list of strings in UTF-8")
    return {name: fields[name] for name in ("key", "value")}
