"""Classify texts with a Triton server.

python -m clients.triton 金属卡扣安装不到位,上海乐扣乐扣贸易有限公司将召回捣碎器1162件
python -m clients.triton --file data/data.txt --format jsonl > answers.jsonl
cat data/data.txt | python -m clients.triton --url 10.0.0.1:8001 --url 10.0.0.2:8001 --threshold 0.3
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import Future, TimeoutError, wait
from typing import Any, Callable

import numpy as np
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from clients.in_order import BATCH_SIZE, Streams
from clients.tls import TlsOptions
from clients.triton_calls import DEFAULT_URL, PARTING_SECONDS, RETRIES, TIMEOUT_SECONDS, Calls
from clients.triton_request import PREDICTIONS, inference, out_of_time, patience, read_predictions, read_scores
from pipeline.command import run
from pipeline.files.dataset import read_texts
from pipeline.labels.decoding import POLICIES, Prediction
from pipeline.output import FORMATS
from pipeline.tensors import SCORES

__all__ = ["TlsOptions", "TritonClient", "main", "parse_args"]


class TritonClient(Streams):
    """Classifies texts with the ensemble `seqcls` of Triton servers over gRPC; usable from several threads.

    Args:
        urls: host and port of a server, without a scheme, or of several that serve the same: they are asked in turn,
            and one that is unavailable is passed over for a moment while another answers.
        timeout_seconds: how long a call may take, whatever it retries. The server is told, and drops a request that
            waited in its queues that long.
        retries: how often a call is made again, after a pause that grows, when every server is UNAVAILABLE: stopping or
            not there. While one is overloaded, until the time is over; with 0 not even then. Nothing else is retried.
        tls: encrypt the connections, and how; None leaves them in the clear.

    Raises:
        InputError: a value outside those, or a TLS file that cannot be used.
    """

    def __init__(
        self,
        urls: str | Sequence[str] = DEFAULT_URL,
        timeout_seconds: float = TIMEOUT_SECONDS,
        retries: int = RETRIES,
        tls: TlsOptions | None = None,
    ) -> None:
        self._calls = Calls(grpc.InferenceServerClient, urls, timeout_seconds, retries, tls)
        self._under_way: set[Future[Any]] = set()

    def __enter__(self) -> TritonClient:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; requests that are under way have a moment to end."""
        connections = self._calls.endpoints.close()
        try:
            wait(list(self._under_way), PARTING_SECONDS)
        finally:
            for connection in connections:
                connection.close()

    def server_version(self) -> str:
        """The server's version, such as 2.51.0.

        Raises:
            ServerError: no server answers.
        """
        return self._call(lambda connection, seconds: connection.get_server_metadata(client_timeout=seconds)).version

    def classify(
        self,
        texts: Sequence[str],
        threshold: float | None = None,
        policy: str | None = None,
        top_k: int | None = None,
    ) -> list[list[Prediction]]:
        """Per text its label paths, most confident first; the texts travel in one request.

        What is None is as the served bundle says.

        Args:
            threshold: for all labels, between 0 and 1.
            policy: one of `pipeline.labels.decoding.POLICIES`.
            top_k: at most so many labels of each text, 1 or more.

        Raises:
            InputError: the server refuses an option, a text or the number of texts; the message names the row.
            ServerError: no server answers in time, or it fails.
        """
        if len(texts) == 0:
            return []
        request = inference(texts, PREDICTIONS, threshold=threshold, policy=policy, top_k=top_k)
        return read_predictions(self._infer(request))

    def scores(self, texts: Sequence[str]) -> np.ndarray:
        """Every label's score for one or more texts, float32 [texts, labels], labels as the bundle orders them.

        Raises:
            InputError, ServerError: as `classify` does.
        """
        return read_scores(self._infer(inference(texts, [SCORES])))

    def _infer(self, request: dict[str, Any]) -> Any:
        def send(connection: Any, seconds: float) -> Any:
            answer: Future[Any] = Future()

            def finish(result: Any, error: InferenceServerException | None) -> None:
                if error is None:
                    answer.set_result(result)
                else:
                    answer.set_exception(error)

            connection.async_infer(**request, **patience(seconds), callback=finish)
            self._under_way.add(answer)
            answer.add_done_callback(self._under_way.discard)
            try:
                return answer.result(seconds)
            except TimeoutError:
                raise out_of_time() from None

        return self._call(send)

    def _call(self, send: Callable[[Any, float], Any]) -> Any:
        call = self._calls.begin()
        while True:
            connection, seconds = call.attempt()
            try:
                answer = send(connection, seconds)
            except InferenceServerException as error:
                self._calls.endpoints.closed.wait(call.failed(error))
            else:
                call.succeeded()
                return answer


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("texts", nargs="*", metavar="TEXT", help="texts to classify; none: read standard input")
    add("--file", help="a file with a text per line")
    add("--url", action="append", help=f"a server's gRPC address; repeatable ({DEFAULT_URL})")
    add("--format", choices=tuple(FORMATS), default="tree", help="of the output (%(default)s)")
    add("--threshold", type=float, help="for all labels, between 0 and 1 (as the bundle says)")
    add("--policy", choices=POLICIES, help="how label sets are made consistent (as the bundle says)")
    add("--top_k", type=int, help="at most so many labels of each text (as the bundle says)")
    add("--batch_size", type=int, default=BATCH_SIZE, help="texts per request (%(default)s)")
    add("--timeout_seconds", type=float, default=TIMEOUT_SECONDS, help="per request, retries included (%(default)s)")
    add("--retries", type=int, default=RETRIES, help="of a request while every server is unavailable (%(default)s)")
    add("--tls", action="store_true", help="encrypt, trusting public authorities; the options below imply it")
    add("--tls_ca", help="PEM file with the certificates to trust instead")
    add("--tls_cert", help="PEM file with this client's certificate")
    add("--tls_key", help="PEM file with its private key")
    args = parser.parse_args(argv)
    if args.texts and args.file:
        parser.error("give texts or --file, not both")
    if args.batch_size < 1:
        parser.error(f"--batch_size is {args.batch_size}; give at least 1")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    files = (args.tls_ca, args.tls_cert, args.tls_key)
    tls = TlsOptions(*files) if args.tls or any(files) else None
    texts = args.texts or read_texts(args.file or sys.stdin.buffer)
    show = FORMATS[args.format]
    options = {"threshold": args.threshold, "policy": args.policy, "top_k": args.top_k}
    with TritonClient(args.url or DEFAULT_URL, args.timeout_seconds, args.retries, tls) as client:
        for text, predictions in client.classify_stream(texts, args.batch_size, **options):
            print(show(text, predictions), flush=True)


if __name__ == "__main__":
    run(main)
