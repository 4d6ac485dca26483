"""Classify texts with the Paddle Serving service over HTTP; needs nothing but Python.

python -m clients.http_client 金属卡扣安装不到位,上海乐扣乐扣贸易有限公司将召回捣碎器1162件
python -m clients.http_client --file data/data.txt --format jsonl > answers.jsonl
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from clients.chosen import choose
from clients.options import ClientOptions
from clients.paddle_client import PaddleClient
from clients.patience import RETRIES, TIMEOUT_SECONDS
from pipeline.command import run
from pipeline.errors import ServerError
from pipeline.labels.decoding import Answer
from pipeline.options import option, parse
from pipeline.records import parse_json
from pipeline.service_messages import HTTP_PATH, HTTP_PORT

DEFAULT_URL = f"127.0.0.1:{HTTP_PORT}"


class HttpClient(PaddleClient):
    """Classifies texts over HTTP; usable from several threads, each with a connection of its own.

    Args and methods: see `PaddleClient`.
    """

    def __init__(
        self, url: str = DEFAULT_URL, timeout_seconds: float = TIMEOUT_SECONDS, retries: int = RETRIES
    ) -> None:
        super().__init__(url, timeout_seconds, retries)
        self._own = threading.local()

    def ask(self, keys: Sequence[str], values: Sequence[str], seconds: float) -> dict[str, str]:
        body = json.dumps({"key": list(keys), "value": list(values)}, ensure_ascii=False).encode()
        answer = self._post(body, time.monotonic() + seconds)
        try:
            err_no, message = int(answer["err_no"]), str(answer.get("err_msg", ""))
            key, value = answer.get("key", []), answer.get("value", [])
        except (TypeError, KeyError, ValueError, AttributeError):
            raise ServerError(f"{self.url} gave no answer of the service: {answer!r:.200}") from None
        return self.read(err_no, message, key, value)

    def _post(self, body: bytes, deadline: float) -> Any:
        seconds = max(0.001, deadline - time.monotonic())
        fresh = getattr(self._own, "connection", None) is None
        if fresh:
            self._own.connection = http.client.HTTPConnection(self.url)
        connection = self._own.connection
        connection.timeout = seconds
        if connection.sock is not None:
            connection.sock.settimeout(seconds)
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                # A server that refuses a request need not read it all; its answer says why.
                connection.request("POST", HTTP_PATH, body, {"Content-Type": "application/json"})
            return parse_json(connection.getresponse().read())
        except (TimeoutError, socket.timeout):  # not the same before Python 3.10
            self._drop()
            raise self.too_late() from None
        except (OSError, http.client.HTTPException) as error:
            self._drop()
            if not fresh:  # the server closed a connection that was idle; nothing of the request was answered
                return self._post(body, deadline)
            raise self.unavailable(str(error) or type(error).__name__) from error
        except ValueError as error:
            self._drop()
            raise ServerError(f"{self.url} answers no JSON ({error}); is it the service's HTTP port?") from None

    def _drop(self) -> None:
        self._own.connection.close()
        self._own.connection = None


@dataclass(frozen=True)
class HttpClientOptions(ClientOptions):
    """Which service is asked."""

    url: str | None = option(
        None, f"the service's HTTP address (of the one that was started from here, else {DEFAULT_URL})"
    )

    def server(self) -> tuple[str, str]:
        """The address to ask, and what is to be said of it where nobody named it; raises as `choose` does."""
        return (self.url, "") if self.url else choose("paddle", "http_address", DEFAULT_URL)


def classify(options: HttpClientOptions) -> Iterator[tuple[str, Answer]]:
    """Yield each text with its label paths, most confident first.

    Raises:
        InputError, ServerError: as `PaddleClient.classify_stream` does; earlier texts have been yielded by then.
    """
    with HttpClient(options.server()[0], options.timeout_seconds, options.retries) as client:
        yield from options.ask(client)


def parse_args(argv: Sequence[str] | None) -> HttpClientOptions:
    return parse(HttpClientOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    address, said = options.server()
    with HttpClient(address, options.timeout_seconds, options.retries) as client:
        options.show(client, said)


if __name__ == "__main__":
    run(main)
