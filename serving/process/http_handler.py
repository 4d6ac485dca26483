"""What answers the requests of a connection of `serving.process.http_door`."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import re
import socket
import sys
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, Callable

from serving.process.arrivals import FREE_BYTES

if TYPE_CHECKING:
    from serving.process.http_door import HttpDoor

PIECE_BYTES = 1 << 16
DRAINED_BYTES = 64 << 20
URI_BYTES, HEADER_BYTES = 1 << 12, 1 << 14
LENGTH = re.compile("[0-9]{1,19}")
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,8})(?:;[^\r\n]*)?\r?\n")
LINE_BYTES = 256
LATE = "the request did not arrive in time"
LONG = {
    414: f"the first line has more than {URI_BYTES} bytes",
    431: f"the headers have more than {HEADER_BYTES} bytes, or are more than a hundred",
}
LATER = {"Retry-After": "1"}
JSON_TYPE = "application/json; charset=utf-8"


Answer = tuple[int, bytes, Mapping[str, str]]
"""Status, body and headers."""


class Refusal(Exception):
    """Raised where a request gets an error, and its connection is to be closed, because not all of it was read."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class DoorHandler(BaseHTTPRequestHandler):
    """What is common to handlers; one adds `do_POST` and the like, which take the body from `read_body`."""

    protocol_version = "HTTP/1.1"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body leave in one piece
    server: HttpDoor
    raw_requestline: bytes
    rfile: _Lines
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
        self.rfile = _Lines(self.rfile.detach())

    def handle_one_request(self) -> None:
        self._arrival = self.server.arrivals.expect(lambda: self.connection.shutdown(socket.SHUT_RD))
        self._arrived = self._held = 0
        self._waits_for_word = False
        self.rfile.left, self.rfile.is_split = sys.maxsize, False
        try:
            super().handle_one_request()
        except Refusal as refusal:
            self.refuse(refusal)
        finally:
            self.server.arrivals.finish(self._arrival)
            self.server.bodies.give(self._held)

    def parse_request(self) -> bool:
        if len(self.raw_requestline) > URI_BYTES:
            self.command, self.requestline, self.request_version = "", "", self.protocol_version
            self.send_error(414)
            return False
        self.rfile.left = HEADER_BYTES
        if not super().parse_request():
            return False
        self.rfile.left = sys.maxsize
        if self._arrival.late:  # headers that were cut off look complete
            self.send_error(408)
        elif self._is_ambiguous():
            self.send_error(400, "a line of the headers is no header")
        else:
            return True
        return False

    def _is_ambiguous(self) -> bool:
        """Whether a proxy before this might read other headers, and take one request for two."""
        folded = any("\n" in value or "\r" in value for value in self.headers.values())
        return bool(self.headers.defects) or folded or self.rfile.is_split

    def handle_expect_100(self) -> bool:
        self._waits_for_word = True  # which it gets once it is known that its body is wanted
        return True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class refuses by itself, answered as everything else."""
        reason = LONG.get(code) or message or "this is no HTTP request"
        if self._arrival.late:
            code, reason = 408, LATE
        self.refuse(Refusal(code, f"{reason}{self.hint}"))

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: texts must not get into a log."""

    def read_body(self) -> bytes:
        """The request's body; raises Refusal, and then the rest of it is not read."""
        lengths = self.headers.get_all("Content-Length", [])
        chunked = self.headers.get_all("Transfer-Encoding", [])
        if not lengths and not chunked:
            raise Refusal(411, "there is no Content-Length; state how many bytes the body has")
        # Anything else a proxy before this might understand otherwise, and take one request for two.
        if self.most_chunks and not lengths and [each.lower() for each in chunked] == ["chunked"]:
            self._ask_for_body()
            body = self._read_chunks()
        elif len(lengths) != 1 or not LENGTH.fullmatch(lengths[0]) or chunked:
            raise Refusal(400, "give one Content-Length, a number, and no Transfer-Encoding")
        else:
            self._require_fits(int(lengths[0]))
            self._ask_for_body()
            body = self._read(int(lengths[0]))
        self.server.arrivals.finish(self._arrival)
        return body

    def _require_fits(self, size: int) -> None:
        if size > self.server.max_bytes:
            limit = f"send at most {self.server.max_bytes}, the rest in other requests"
            raise Refusal(413, f"the request has {size} bytes; {limit}")

    def _ask_for_body(self) -> None:
        if self._waits_for_word:
            self.send_response_only(100)
            self.end_headers()
            self.wfile.flush()

    def _hold(self, size: int) -> None:
        """Count what a body keeps of the memory for all of them."""
        self._arrived += size
        if self._arrived > FREE_BYTES:
            if not self.server.bodies.take(size):
                raise Refusal(503, "too many large requests at the same time; ask again later")
            self._held += size

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
            self._hold(len(piece))
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
        self.send_error_as_json(refusal.status, str(refusal))
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
            self.send_error_as_json(503, "too many requests at the same time; ask again later")
            return
        try:
            answer = compute()
        finally:
            self.server.requests.release()
        self.send_body(*answer)

    def send_error_as_json(self, status: int, message: str) -> None:
        _, body, headers = as_json(status, self.error(status, message))
        self.send_body(status, body, {**headers, **(LATER if status == 503 else {})})

    def send_body(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()


class _Lines(io.BufferedReader):
    """What comes in.

    Attributes:
        left: bytes that further lines may have.
        is_split: a line had a carriage return within, which some readers take for its end.
    """

    left, is_split = sys.maxsize, False

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        self.left -= len(line)
        self.is_split |= b"\r" in line[:-2]
        if self.left < 0:
            raise http.client.LineTooLong("header")
        return line


def as_json(status: int, answer: Mapping[str, Any]) -> Answer:
    """An answer whose body is JSON."""
    return status, json.dumps(answer, ensure_ascii=False).encode(), {"Content-Type": JSON_TYPE}
