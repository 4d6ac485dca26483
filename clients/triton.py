"""Classify texts with a Triton server.

python -m clients.triton 金属卡扣安装不到位,上海乐扣乐扣贸易有限公司将召回捣碎器1162件
python -m clients.triton --file data/data.txt --format jsonl > answers.jsonl
cat data/data.txt | python -m clients.triton --url 10.0.0.1:8001 --url 10.0.0.2:8001 --threshold 0.3
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, TimeoutError, wait
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Callable

import numpy as np
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from clients.chosen import choose
from clients.endpoints import DEFAULT_URL, Endpoint
from clients.in_order import Streams
from clients.options import ClientOptions
from clients.patience import RETRIES, TIMEOUT_SECONDS
from clients.tls import TlsOptions
from clients.triton_calls import CONNECT_SECONDS, PARTING_SECONDS, Calls
from clients.triton_request import (
    FURTHER,
    PREDICTIONS,
    classification,
    inference,
    joined_scores,
    out_of_time,
    patience,
    read_answers,
    read_model,
    read_scores,
    texts_of,
)
from pipeline.command import run
from pipeline.errors import ServerError
from pipeline.labels.decoding import Answer
from pipeline.options import option, parse
from pipeline.served import ServedModel
from pipeline.tensors import ENSEMBLE, EXPLAIN, POLICY, PROMISE, SCORES, THRESHOLD, TOP_K
from pipeline.text.normalisation import require_list

__all__ = ["TlsOptions", "TritonClient", "TritonClientOptions", "classify", "main", "parse_args"]


class TritonClient(Streams):
    """Classifies texts with the ensemble `seqcls` of Triton servers over gRPC; usable from several threads.

    Args:
        urls: host and port of a server, without a scheme, or of several that serve the same. A name that stands for
            several addresses is as many servers. Asked is the one with the fewest requests under way; one that is
            unavailable is passed over for a moment while another answers.
        timeout_seconds: how long a call may take, in however many requests it travels, and whatever it retries. The
            server is told, and drops a request that waited in its queues that long.
        retries: how often a call is made again, after a pause that grows, when every server is UNAVAILABLE: stopping,
            not there, or without a loaded version of the model. While one is overloaded, until the time is over; with
            0 not even then. Nothing else is retried.
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
        self._calls = Calls(
            grpc.InferenceServerClient, urls, timeout_seconds, retries, tls, lambda connection: connection.close()
        )
        self.timeout_seconds = timeout_seconds
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
        return self._call(lambda asked, seconds: asked.connection.get_server_metadata(client_timeout=seconds)).version

    def _model(self, deadline: float) -> ServedModel:
        def send(endpoint: Endpoint, seconds: float) -> Any:
            return endpoint.connection.get_model_config(ENSEMBLE, client_timeout=seconds)

        return read_model(self._call(send, deadline))

    def answered(self) -> dict[str, ServedModel | None]:
        """By its address, what each server serves that has answered this client; None where it does not say."""
        return {endpoint.url: self._described(endpoint.connection) for endpoint in self._calls.endpoints.answered()}

    def _described(self, connection: Any) -> ServedModel | None:
        try:
            return read_model(connection.get_model_config(ENSEMBLE, client_timeout=CONNECT_SECONDS))
        except (InferenceServerException, ServerError):
            return None

    def classify(
        self,
        texts: Sequence[str],
        threshold: float | None = None,
        policy: str | None = None,
        top_k: int | None = None,
        promise: float | None = None,
        explain: bool = False,
    ) -> list[Answer]:
        """Per text its label paths, most confident first, and whether it was truncated.

        The texts travel in one request or, where they are more than it may hold, in several at the same time; those
        may meet different versions while a bundle is published. What is None is as the served bundle says.

        Args:
            threshold: for all labels, between 0 and 1.
            policy: one of `pipeline.labels.decoding.POLICIES`.
            top_k: at most so many labels of each text, 1 or more.
            promise: answer only labels of this precision, one that the bundle promises; without the other three.
            explain: whether each answer is to say why, as its attribute `why`; then each text travels by itself.

        Raises:
            InputError: `texts` is no list, or the server refuses an option or a text; the message names the row.
            ServerError: no server answers in time, or it fails.
        """
        require_list(texts)
        if len(texts) == 0:
            return []
        options = {THRESHOLD: threshold, POLICY: policy, TOP_K: top_k, PROMISE: promise, EXPLAIN: explain or None}
        return list(
            chain.from_iterable(self._in_parts(texts, partial(self._classify, options=options), singly=explain))
        )

    def scores(self, texts: Sequence[str]) -> np.ndarray:
        """Every label's score for one or more texts, float32 [texts, labels], in the order of `labels`.

        Raises:
            InputError, ServerError: as `classify` does.
        """
        require_list(texts)
        return joined_scores(self._in_parts(texts, self._scores))

    def answers_and_scores(self, texts: Sequence[str]) -> tuple[list[Answer], np.ndarray]:
        """What `classify` and `scores` give of one or more texts, computed once; raises as they do."""
        require_list(texts)
        parts = self._in_parts(texts, self._answers_and_scores)
        return list(chain.from_iterable(answers for answers, _ in parts)), joined_scores([each for _, each in parts])

    def _answers_and_scores(self, texts: Sequence[str], deadline: float) -> tuple[list[Answer], np.ndarray]:
        result = self._infer(inference(texts, (*PREDICTIONS, *FURTHER, SCORES)), deadline)
        return read_answers(result), read_scores(result)

    def _classify(self, texts: Sequence[str], deadline: float, options: dict[str, Any]) -> list[Answer]:
        return read_answers(self._infer(classification(texts, **options), deadline))

    def _scores(self, texts: Sequence[str], deadline: float) -> np.ndarray:
        return read_scores(self._infer(inference(texts, [SCORES]), deadline))

    def _infer(self, request: dict[str, Any], deadline: float) -> Any:
        return self._call(partial(self._send, request), deadline)

    def _send(self, request: dict[str, Any], endpoint: Endpoint, seconds: float) -> Any:
        answer: Future[Any] = Future()

        def finish(result: Any, error: InferenceServerException | None) -> None:
            if error is None:
                answer.set_result(result)
            else:
                answer.set_exception(error)

        endpoint.connection.async_infer(**endpoint.worded(request), **patience(seconds), callback=finish)
        self._under_way.add(answer)
        answer.add_done_callback(self._under_way.discard)
        self._calls.endpoints.follow(endpoint, answer, texts_of(request))
        try:
            return answer.result(seconds)
        except TimeoutError:
            raise out_of_time() from None

    def _call(self, send: Callable[[Endpoint, float], Any], deadline: float | None = None) -> Any:
        call = self._calls.begin(deadline)
        while True:
            endpoint, seconds = call.attempt()
            try:
                answer = send(endpoint, seconds)
            except InferenceServerException as error:
                self._calls.endpoints.closed.wait(call.failed(error))
            else:
                call.succeeded()
                return answer


@dataclass(frozen=True)
class TritonClientOptions(ClientOptions):
    """Which servers are asked, and whether connections are encrypted."""

    url: tuple[str, ...] = option(
        (),
        "a server's gRPC address; give it again for each further one "
        f"(that of the one that was started from here, else {DEFAULT_URL})",
        repeated=True,
    )
    tls: bool = option(False, "encrypt connections, trusting public authorities; --tls_ca and --tls_cert imply it")
    tls_ca: Path | None = option(None, "PEM file with the certificates to trust instead of public ones")
    tls_cert: Path | None = option(None, "PEM file with this client's certificate")
    tls_key: Path | None = option(None, "PEM file with the private key of --tls_cert")

    def servers(self) -> tuple[tuple[str, ...], str]:
        """The addresses to ask, and what is to be said of one that nobody named; raises as `choose` does."""
        if self.url:
            return self.url, ""
        address, said = choose("triton", "client_address", DEFAULT_URL)
        return (address,), said

    def encryption(self) -> TlsOptions | None:
        """What the client takes; raises InputError where a file cannot be used."""
        files = (self.tls_ca, self.tls_cert, self.tls_key)
        return TlsOptions(*files) if self.tls or any(files) else None


def classify(options: TritonClientOptions) -> Iterator[tuple[str, Answer]]:
    """Yield each text with its label paths, most confident first.

    Raises:
        InputError, ServerError: as `TritonClient.classify_stream` does; earlier texts have been yielded by then.
    """
    with TritonClient(options.servers()[0], options.timeout_seconds, options.retries, options.encryption()) as client:
        yield from options.ask(client)


def parse_args(argv: Sequence[str] | None) -> TritonClientOptions:
    return parse(TritonClientOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    addresses, said = options.servers()
    with TritonClient(addresses, options.timeout_seconds, options.retries, options.encryption()) as client:
        options.show(client, said)


if __name__ == "__main__":
    run(main)
