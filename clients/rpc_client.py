"""Classify texts with the Paddle Serving service over RPC, by upstream's PipelineClient; runs in .venv-serving:

.venv-serving/bin/python -m clients.rpc_client 金属卡扣安装不到位,上海乐扣乐扣贸易有限公司将召回捣碎器1162件
.venv-serving/bin/python -m clients.rpc_client --file data/data.txt --format jsonl > answers.jsonl
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence

import grpc

with tempfile.TemporaryDirectory() as folder:
    # Upstream opens logs in the current folder when it is imported; these are gone at once.
    os.environ["SERVING_LOG_PATH"] = folder
    from paddle_serving_server.pipeline import PipelineClient

from clients.paddle_command import PaddleClient, classify_and_print, parse_client_args
from pipeline.command import run
from pipeline.errors import InputError, ServerError
from pipeline.labels.decoding import Prediction
from pipeline.service_messages import RPC_PORT, SERVICE

DEFAULT_URL = f"127.0.0.1:{RPC_PORT}"


class RpcClient(PaddleClient):
    """Classifies texts over RPC; usable from several threads.

    Args and methods: see `PaddleClient`.
    """

    def __init__(self, url: str = DEFAULT_URL, timeout_seconds: float = 60.0, retries: int = 4) -> None:
        super().__init__(url, timeout_seconds, retries)
        self._client = PipelineClient()
        self._client.connect([url])

    def close(self) -> None:
        self._client._channel.close()

    def ask(self, keys: Sequence[str], values: Sequence[str], seconds: float) -> list[list[Prediction]]:
        # PipelineClient.predict has no deadline, prints what it does, and looks up the name of this host each time.
        fields = dict(zip(keys, values), clientip="")
        request = self._client._pack_request_package(fields, False, False, False)
        request.name = SERVICE
        try:
            answer = self._client._stub.inference(request, timeout=seconds)
        except grpc.RpcError as error:
            if "larger than max" in (error.details() or ""):
                raise InputError(f"{self.url}: {error.details()}; send fewer texts in one request") from error
            if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED):
                raise self.unavailable(error.details()) from error
            if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                raise self.too_late() from error
            raise ServerError(f"{self.url}: {error.details()}") from error
        return self.read(answer.err_no, answer.err_msg, answer.key, answer.value)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_client_args(__doc__ or "", DEFAULT_URL, argv)
    with RpcClient(args.url, args.timeout_seconds, args.retries) as client:
        classify_and_print(client, args)


if __name__ == "__main__":
    run(main)
