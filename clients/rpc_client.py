"""Classify texts with the Paddle Serving service over RPC, by upstream's PipelineClient; runs in .venv-serving.

.venv-serving/bin/python -m clients.rpc_client 金属卡扣安装不到位,上海乐扣乐扣贸易有限公司将召回捣碎器1162件
.venv-serving/bin/python -m clients.rpc_client --file data/data.txt --format jsonl > answers.jsonl
"""

from __future__ import annotations

import functools
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc

from clients.chosen import choose
from clients.options import ClientOptions
from clients.paddle_client import Overloaded, PaddleClient
from clients.patience import RETRIES, TIMEOUT_SECONDS
from clients.proxies import channel_options
from pipeline.command import run
from pipeline.errors import EnvironmentFault, InputError, ServerError
from pipeline.labels.decoding import Answer
from pipeline.options import option, parse
from pipeline.service_messages import RPC_PORT, SERVICE

OPTIONS = [(f"grpc.max_{way}_message_length", 512 << 20) for way in ("send", "receive")]
"""Upstream's."""
DEFAULT_URL = f"127.0.0.1:{RPC_PORT}"


class RpcClient(PaddleClient):
    """Classifies texts over RPC; usable from several threads.

    Args and methods: see `PaddleClient`.

    Raises:
        EnvironmentFault: this Python lacks upstream's client.
    """

    def __init__(
        self, url: str = DEFAULT_URL, timeout_seconds: float = TIMEOUT_SECONDS, retries: int = RETRIES
    ) -> None:
        super().__init__(url, timeout_seconds, retries)
        client_class = _pipeline_client()
        # PipelineClient.connect takes numeric addresses alone, and asks each through the proxy of the environment.
        self._client, self._channel = client_class(), grpc.insecure_channel(url, [*OPTIONS, *channel_options(url)])
        stubs = sys.modules[client_class.__module__].pipeline_service_pb2_grpc
        self._stub = stubs.PipelineServiceStub(self._channel)

    def close(self) -> None:
        self._channel.close()

    def ask(self, keys: Sequence[str], values: Sequence[str], seconds: float) -> dict[str, str]:
        # PipelineClient.predict has no deadline, prints what it does, and looks up the name of this host each time.
        fields = dict(zip(keys, values), clientip="")
        request = self._client._pack_request_package(fields, False, False, False)
        request.name = SERVICE
        try:
            answer = self._stub.inference(request, timeout=seconds)
        except grpc.RpcError as error:
            if "larger than max" in (error.details() or ""):
                raise InputError(f"{self.url}: {error.details()}; send fewer texts in one request") from error
            if error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise self.unavailable(error.details(), Overloaded) from error
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                raise self.unavailable(error.details()) from error
            if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                raise self.too_late() from error
            raise ServerError(f"{self.url}: {error.details()}") from error
        return self.read(answer.err_no, answer.err_msg, answer.key, answer.value)


@functools.cache
def _pipeline_client() -> Any:
    """Upstream's class."""
    with tempfile.TemporaryDirectory() as folder:
        # Upstream opens logs in the current folder when it is imported; these are gone at once.
        os.environ["SERVING_LOG_PATH"] = folder
        try:
            with warnings.catch_warnings():
                # Of what it imports itself; whoever asks for labels can do nothing about it.
                warnings.filterwarnings("ignore", "pkg_resources is deprecated")
                from paddle_serving_server.pipeline import PipelineClient
        except ImportError as error:
            raise EnvironmentFault(
                f"{error}; `make setup-paddle` makes an environment that has it: .venv-serving/bin/python -m "
                "clients.rpc_client; clients.http_client needs none"
            ) from error
    return PipelineClient


@dataclass(frozen=True)
class RpcClientOptions(ClientOptions):
    """Which service is asked."""

    url: str | None = option(
        None, f"the service's RPC address (of the one that was started from here, else {DEFAULT_URL})"
    )

    def server(self) -> tuple[str, str]:
        """The address to ask, and what is to be said of it where nobody named it; raises as `choose` does."""
        return (self.url, "") if self.url else choose("paddle", "client_address", DEFAULT_URL)


def classify(options: RpcClientOptions) -> Iterator[tuple[str, Answer]]:
    """Yield each text with its label paths, most confident first.

    Raises:
        InputError, ServerError: as `PaddleClient.classify_stream` does; earlier texts have been yielded by then.
    """
    with RpcClient(options.server()[0], options.timeout_seconds, options.retries) as client:
        yield from options.ask(client)


def parse_args(argv: Sequence[str] | None) -> RpcClientOptions:
    return parse(RpcClientOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    address, said = options.server()
    with RpcClient(address, options.timeout_seconds, options.retries) as client:
        options.show(client, said)


if __name__ == "__main__":
    run(main)
