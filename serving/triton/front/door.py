"""HTTP for callers, in front of Triton's own, which listens on a Unix socket that only this user reaches.

Triton 2.51 has no limits to what it reads, and is ended by extreme requests. This reads, bounds and checks a request
first, and hands it on as one piece. A caller that leaves cancels nothing: that may end Triton, too. Components of the
ensemble are for the operator, who shows the admin key.

Run by the launcher, as `serving.triton.front.running` tells.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.errors import InputError
from serving.process.http_door import HttpDoor
from serving.process.http_handler import JSON_TYPE, Answer, DoorHandler, Refusal, as_json
from serving.triton.admin_key import HTTP_HEADER
from serving.triton.front.bodies import checked_inference, checked_json, inflated
from serving.triton.front.running import PARTING_SECONDS, FrontSettings, run_front

HEADER_LENGTH = "Inference-Header-Content-Length"
PATH = re.compile(r"/v2(?:/[A-Za-z0-9_.%~-]+)*|/")
MODEL_CALL = re.compile(r"/v2/models/([^/]+)(?:/versions/[^/]+)?/(infer|generate)")
PASSED_ON = ("Accept-Encoding", "Content-Type", "traceparent", "tracestate", HTTP_HEADER)
PASSED_BYTES = 6 << 10
"""Of a request's headers: at 8 KiB Triton breaks the connection."""
PASSED_BACK = ("Content-Type", "Content-Encoding", HEADER_LENGTH)
MOST_REQUESTS = 256
ARRIVAL_SECONDS = 30.0
ANSWER_SECONDS = 600.0
LAST_WORDS_SECONDS = 0.05
UNPACKING = threading.Lock()
"""Held while a body is unpacked, parsed and checked: it may need many times its bytes."""


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Front(HttpDoor):
    """Answers callers; raises OSError where the address cannot be listened on."""

    def __init__(self, settings: FrontSettings) -> None:
        self.settings = settings
        super().__init__(
            (settings.host, settings.port), _Handler, settings.max_bytes, MOST_REQUESTS, ARRIVAL_SECONDS, shared=False
        )


class _Handler(DoorHandler):
    server_version = "text-classifier"
    server: Front
    most_chunks = 10_000

    @staticmethod
    def error(status: int, message: str) -> Mapping[str, Any]:
        return {"error": message}

    def do_GET(self) -> None:
        self._answer(has_body=False)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self._answer(has_body=True)

    def _answer(self, has_body: bool) -> None:
        path = self._path()
        body = self._body() if has_body else None
        if not has_body:
            self._require_no_body()
        self.answer_in_turn(lambda: self._answer_to(path, body))

    def _answer_to(self, path: str, body: bytes | None) -> Answer:
        try:
            content, header_length = self._checked(path, body)
            return self._ask(path, content, header_length)
        except InputError as error:
            return as_json(400, self.error(400, str(error)))
        except (OSError, http.client.HTTPException) as error:
            said = f"Triton does not answer ({error or type(error).__name__}): it is starting, stopping, or has ended"
            return as_json(502, self.error(502, said))

    def _path(self) -> str:
        path = self.path.partition("?")[0]
        if not PATH.fullmatch(path):
            raise Refusal(404, f"there is no {path!r:.100}; ask /v2/models/seqcls/infer")
        if path.endswith("/generate_stream"):
            raise Refusal(404, "there is no generate_stream here; ask infer")
        if sum(len(self.headers.get(name, "")) for name in PASSED_ON) > PASSED_BYTES:
            raise Refusal(431, f"{', '.join(PASSED_ON)} have more than {PASSED_BYTES} bytes")
        call = MODEL_CALL.fullmatch(path)
        if call and not self.server.settings.may_ask(call[1], self.headers.get(HTTP_HEADER, "")):
            raise Refusal(403, f"{call[1]} is a part of the ensemble and answers only those with the admin key")
        return path

    def _require_no_body(self) -> None:
        if self.headers.get_all("Content-Length", ["0"]) != ["0"] or "Transfer-Encoding" in self.headers:
            raise Refusal(400, f"a {self.command} has no body here")

    def _body(self) -> bytes:
        if "Content-Length" not in self.headers and "Transfer-Encoding" not in self.headers:
            return b""  # as in a call that needs none
        return self.read_body()

    def _checked(self, path: str, body: bytes | None) -> tuple[bytes | None, int | None]:
        if not body:
            return body, None
        with UNPACKING:
            if encoding := self.headers.get("Content-Encoding", ""):
                body = inflated(body, encoding, self.server.max_bytes)
            if path.endswith("/infer"):
                return checked_inference(body, self.headers.get(HEADER_LENGTH))
            return checked_json(body), None

    def _ask(self, path: str, body: bytes | None, header_length: int | None) -> Answer:
        # A connection each: Triton waits for open ones, half a minute, before it stops.
        connection = UnixConnection(self.server.settings.upstream, ANSWER_SECONDS)
        headers = {name: self.headers[name] for name in PASSED_ON if name in self.headers} | {"Connection": "close"}
        if header_length is not None:
            headers[HEADER_LENGTH] = str(header_length)
        try:
            with contextlib.closing(connection):
                connection.request("GET" if body is None else "POST", path, body, headers)
                answer = connection.getresponse()
                content = answer.read()
        except ValueError as error:
            raise InputError(f"a header cannot be passed on: {error}") from None
        passed = {name: answer.headers[name] for name in PASSED_BACK if name in answer.headers}
        return answer.status, content, passed or {"Content-Type": JSON_TYPE}


def start(settings: FrontSettings) -> Callable[[], None]:
    """Begin to answer; gives what ends it. Raises OSError where the port cannot be had."""
    front = Front(settings)
    threading.Thread(target=front.serve_forever, daemon=True).start()

    def end() -> None:
        front.shutdown()
        front.server_close()
        deadline = time.monotonic() + PARTING_SECONDS
        for _ in range(MOST_REQUESTS):  # until none is under way
            front.requests.acquire(timeout=max(0.0, deadline - time.monotonic()))
        time.sleep(LAST_WORDS_SECONDS)

    return end


if __name__ == "__main__":
    sys.exit(run_front("HTTP", start))
