"""Classify texts with a Triton server.

python -m clients.triton 金属卡扣安装不到位,上海乐扣乐扣贸易有限公司将召回捣碎器1162件
python -m clients.triton --file data/data.txt --format jsonl > answers.jsonl
cat data/data.txt | python -m clients.triton
"""

from __future__ import annotations

import argparse
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from pipeline.chunks import chunks
from pipeline.command import run
from pipeline.dataset import read_texts
from pipeline.decoding import Prediction
from pipeline.errors import ClassifierError, InputError, ServerError
from pipeline.output import FORMATS
from pipeline.tensors import CONFIDENCE, ENSEMBLE, LABEL, TEXT

DEFAULT_URL = "127.0.0.1:8001"
BATCH_SIZE = 32
REQUESTS_IN_FLIGHT = 4


class TritonClient:
    """Classifies texts with the ensemble `seqcls` of a Triton server over gRPC.

    Args:
        url: host and port, without a scheme.
        timeout_seconds: how long one request may take.
    """

    def __init__(self, url: str = DEFAULT_URL, timeout_seconds: float = 60.0) -> None:
        self.url, self.timeout_seconds = url, timeout_seconds
        self._client = grpc.InferenceServerClient(url)

    def __enter__(self) -> TritonClient:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def server_version(self) -> str:
        """The server's version, such as 2.51.0.

        Raises:
            ServerError: no server answers.
        """
        try:
            return self._client.get_server_metadata(client_timeout=self.timeout_seconds).version
        except InferenceServerException as error:
            raise self._translated(error) from error

    def classify(self, texts: Sequence[str]) -> list[list[Prediction]]:
        """Per text its label paths, most confident first; the texts travel in one request.

        Raises:
            InputError: the server refuses a text or the number of texts; the message names the row.
            ServerError: no server answers in time, or it fails.
        """
        return _predictions(self._send(texts).result()) if texts else []

    def classify_stream(
        self, texts: Iterable[str], batch_size: int = BATCH_SIZE, in_flight: int = REQUESTS_IN_FLIGHT
    ) -> Iterator[tuple[str, list[Prediction]]]:
        """Yield each text with its predictions, in order, while at most `in_flight` requests are under way.

        Raises:
            InputError, ServerError: as `classify` does; answers to earlier texts have been yielded by then.
        """
        batches = chunks(texts, batch_size)
        under_way: deque[tuple[int, list[str], Future[Any]]] = deque()
        sent, fault = 0, None
        while True:
            while fault is None and len(under_way) < in_flight:
                try:
                    batch = next(batches)
                    under_way.append((sent, batch, self._send(batch)))
                except StopIteration:
                    break
                except ClassifierError as error:
                    # The source broke, or gave what cannot be sent: what it gave before is answered first.
                    fault = error
                    break
                sent += len(batch)
            if not under_way:
                break
            first, batch, answer = under_way.popleft()
            try:
                predictions = _predictions(answer.result())
            except ClassifierError as error:
                raise type(error)(f"in texts {first + 1} to {first + len(batch)}: {error}") from error
            yield from zip(batch, predictions)
        if fault is not None:
            raise fault

    def _send(self, texts: Sequence[str]) -> Future[Any]:
        tensor = grpc.InferInput(TEXT, [len(texts), 1], "BYTES")
        try:
            raw = [[text.encode("utf-8")] for text in texts]
        except UnicodeEncodeError as error:
            raise InputError(
                f"text {error.object[:40]!r} holds a lone surrogate and cannot be sent as UTF-8"
            ) from error
        tensor.set_data_from_numpy(np.array(raw, object))
        future: Future[Any] = Future()

        def finish(result: Any, error: InferenceServerException | None) -> None:
            if error is not None:
                future.set_exception(self._translated(error))
            else:
                future.set_result(result)

        self._client.async_infer(ENSEMBLE, [tensor], finish, client_timeout=self.timeout_seconds)
        return future

    def _translated(self, error: InferenceServerException) -> ClassifierError:
        status, message = str(error.status() or ""), error.message() or str(error)
        if "INVALID_ARGUMENT" in status:
            return InputError(message)
        if "DEADLINE_EXCEEDED" in status:
            return ServerError(f"{self.url} gave no answer within {self.timeout_seconds:g} s")
        if "UNAVAILABLE" in status:
            return ServerError(f"no Triton server answers at {self.url} ({message}); start one with `make serve`")
        return ServerError(f"{self.url}: {message}")


def _predictions(result: Any) -> list[list[Prediction]]:
    labels, confidences = result.as_numpy(LABEL), result.as_numpy(CONFIDENCE)
    if labels is None or confidences is None:
        raise ServerError(f"the answer lacks the outputs {LABEL!r} and {CONFIDENCE!r}; the server serves another model")
    return [
        [Prediction(label.decode("utf-8"), float(confidence)) for label, confidence in zip(*row) if label]
        for row in zip(labels, confidences)
    ]


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="texts to classify; none: read standard input")
    parser.add_argument("--file", help="a file with a text per line")
    parser.add_argument("--url", default=DEFAULT_URL, help="the server's gRPC address (%(default)s)")
    parser.add_argument("--format", choices=tuple(FORMATS), default="tree", help="of the output (%(default)s)")
    parser.add_argument("--batch_size", type=int, default=BATCH_SIZE, help="texts per request (%(default)s)")
    parser.add_argument("--timeout_seconds", type=float, default=60.0, help="per request (%(default)s)")
    args = parser.parse_args(argv)
    if args.texts and args.file:
        parser.error("give texts or --file, not both")
    if args.batch_size < 1:
        parser.error(f"--batch_size is {args.batch_size}; give at least 1")
    return args


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    texts = args.texts or read_texts(args.file or sys.stdin.buffer)
    show = FORMATS[args.format]
    with TritonClient(args.url, args.timeout_seconds) as client:
        for text, predictions in client.classify_stream(texts, args.batch_size):
            print(show(text, predictions), flush=True)


if __name__ == "__main__":
    run(main)
