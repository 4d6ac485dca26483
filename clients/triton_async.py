"""Classify texts with Triton servers from asyncio:

async with AsyncTritonClient(["10.0.0.1:8001", "10.0.0.2:8001"]) as client:
    print(await client.classify(["某公司宣布裁员两千人"]))
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import chain
from typing import Any, Callable

import numpy as np
from tritonclient.grpc import aio
from tritonclient.utils import InferenceServerException

from clients.endpoints import DEFAULT_URL, Endpoint
from clients.in_order import (
    BATCH_SIZE,
    LOOK_AHEAD,
    REQUESTS_IN_FLIGHT,
    Asked,
    Batch,
    batches,
    holds_too_much,
    in_order,
    parts,
)
from clients.patience import RETRIES, TIMEOUT_SECONDS
from clients.tls import TlsOptions
from clients.triton_calls import CONNECT_SECONDS, PARTING_SECONDS, Calls
from clients.triton_request import (
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
from pipeline.errors import InputError, ServerError
from pipeline.labels.decoding import Answer
from pipeline.served import ServedModel
from pipeline.tensors import ENSEMBLE, EXPLAIN, POLICY, PROMISE, SCORES, THRESHOLD, TOP_K
from pipeline.text.normalisation import require_list


class AsyncTritonClient:
    """`clients.triton.TritonClient` for asyncio: same arguments, same methods, same errors.

    A client belongs to the event loop that it is first used in. A task that is cancelled no longer waits for its
    request, but lets it end.
    """

    def __init__(
        self,
        urls: str | Sequence[str] = DEFAULT_URL,
        timeout_seconds: float = TIMEOUT_SECONDS,
        retries: int = RETRIES,
        tls: TlsOptions | None = None,
    ) -> None:
        self._calls = Calls(
            *(aio.InferenceServerClient, urls, timeout_seconds, retries, tls),
            lambda connection: asyncio.ensure_future(connection.close()),
        )
        self._under_way: set[asyncio.Task[Any]] = set()
        self._limits: ServedModel | None = None

    async def __aenter__(self) -> AsyncTritonClient:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        """As `TritonClient.close`."""
        connections = self._calls.endpoints.close()
        try:
            if self._under_way:
                await asyncio.wait(self._under_way, timeout=PARTING_SECONDS)
        finally:
            for connection in connections:
                await connection.close()

    async def server_version(self) -> str:
        """As `TritonClient.server_version`."""

        def send(endpoint: Endpoint, seconds: float) -> Awaitable[Any]:
            return endpoint.connection.get_server_metadata(client_timeout=seconds)

        return (await self._call(send)).version

    async def classify(
        self,
        texts: Sequence[str],
        threshold: float | None = None,
        policy: str | None = None,
        top_k: int | None = None,
        promise: float | None = None,
        explain: bool = False,
    ) -> list[Answer]:
        """As `TritonClient.classify`."""
        require_list(texts)
        if len(texts) == 0:
            return []
        options = {THRESHOLD: threshold, POLICY: policy, TOP_K: top_k, PROMISE: promise, EXPLAIN: explain or None}
        return list(
            chain.from_iterable(await self._in_parts(texts, partial(self._classify, options=options), singly=explain))
        )

    async def scores(self, texts: Sequence[str]) -> np.ndarray:
        """As `TritonClient.scores`."""
        require_list(texts)
        return joined_scores(await self._in_parts(texts, self._scores))

    async def model(self) -> ServedModel:
        """As `TritonClient.model`."""
        return await self._model(time.monotonic() + self._calls.timeout_seconds)

    async def _model(self, deadline: float) -> ServedModel:
        def send(endpoint: Endpoint, seconds: float) -> Awaitable[Any]:
            return endpoint.connection.get_model_config(ENSEMBLE, client_timeout=seconds)

        return read_model(await self._call(send, deadline))

    async def answered(self) -> dict[str, ServedModel | None]:
        """As `TritonClient.answered`."""
        return {
            endpoint.url: await self._described(endpoint.connection) for endpoint in self._calls.endpoints.answered()
        }

    async def _described(self, connection: Any) -> ServedModel | None:
        try:
            return read_model(await connection.get_model_config(ENSEMBLE, client_timeout=CONNECT_SECONDS))
        except (InferenceServerException, ServerError):
            return None

    async def labels(self) -> list[str]:
        """As `TritonClient.labels`."""
        return list((await self.model()).labels)

    async def classify_stream(
        self,
        texts: Iterable[str],
        batch_size: int = BATCH_SIZE,
        in_flight: int = REQUESTS_IN_FLIGHT,
        **options: Any,
    ) -> AsyncIterator[tuple[str, Answer]]:
        """As `TritonClient.classify_stream`.

        `texts` is read in the event loop, so it should not be slow: a list, a file. Of texts that arrive one by one,
        `classify` each as it comes; the server joins those that are there at the same time.
        """
        async with _in_turn(batches(texts, batch_size), partial(self.classify, **options), in_flight) as turns:
            for batch, task in turns:
                with batch.placed():
                    answers = await task
                for answer in zip(batch.texts, answers):
                    yield answer

    async def _in_parts(
        self,
        texts: Sequence[str],
        ask: Callable[..., Awaitable[Asked]],
        deadline: float | None = None,
        singly: bool = False,
    ) -> list[Asked]:
        """As `Streams._in_parts`."""
        deadline = time.monotonic() + self._calls.timeout_seconds if deadline is None else deadline
        cut = parts(texts, self._limits, singly)
        if len(cut) == 1:
            try:
                return [await ask(texts, deadline)]
            except InputError as error:
                if not holds_too_much(texts, error):
                    raise
                refused = error
            try:
                self._limits = await self._model(deadline)
            except ServerError:
                raise refused from None
            cut = parts(texts, self._limits)
            if len(cut) == 1:
                raise refused
        given = []
        async with _in_turn(cut, partial(self._in_parts, ask=ask, deadline=deadline), REQUESTS_IN_FLIGHT) as turns:
            for part, task in turns:
                with part.counted():
                    given += await task
        return given

    async def _classify(self, texts: Sequence[str], deadline: float, options: dict[str, Any]) -> list[Answer]:
        return read_answers(await self._infer(classification(texts, **options), deadline))

    async def _scores(self, texts: Sequence[str], deadline: float) -> np.ndarray:
        return read_scores(await self._infer(inference(texts, [SCORES]), deadline))

    async def _infer(self, request: dict[str, Any], deadline: float) -> Any:
        return await self._call(partial(self._send, request), deadline)

    async def _send(self, request: dict[str, Any], endpoint: Endpoint, seconds: float) -> Any:
        answer = asyncio.ensure_future(endpoint.connection.infer(**endpoint.worded(request), **patience(seconds)))
        self._under_way.add(answer)
        answer.add_done_callback(self._ended)
        self._calls.endpoints.follow(endpoint, answer, texts_of(request))
        done, _ = await asyncio.wait([answer], timeout=seconds)
        if not done:
            raise out_of_time()
        return answer.result()

    def _ended(self, answer: asyncio.Task[Any]) -> None:
        self._under_way.discard(answer)
        if not answer.cancelled():
            answer.exception()  # seen, or asyncio would complain of one that nobody waited for any more

    async def _call(self, send: Callable[[Endpoint, float], Awaitable[Any]], deadline: float | None = None) -> Any:
        call = self._calls.begin(deadline)
        while True:
            endpoint, seconds = call.attempt()
            try:
                answer = await send(endpoint, seconds)
            except InferenceServerException as error:
                await asyncio.sleep(call.failed(error))
            else:
                call.succeeded()
                return answer


@asynccontextmanager
async def _in_turn(
    batches: Iterable[Sequence[str]], ask: Callable[[Sequence[str]], Awaitable[Asked]], in_flight: int
) -> AsyncIterator[Iterator[tuple[Batch, asyncio.Future[Asked]]]]:
    """`in_order`, with `ask` in tasks; at the end of the block those that are left are cancelled."""
    tasks: set[asyncio.Future[Asked]] = set()
    turns = asyncio.Semaphore(max(1, in_flight))  # in_order refuses less

    async def ask_in_turn(batch: Sequence[str]) -> Asked:
        async with turns:
            return await ask(batch)

    def begin(batch: Sequence[str]) -> asyncio.Future[Asked]:
        task = asyncio.ensure_future(ask_in_turn(batch))
        tasks.add(task)
        task.add_done_callback(end)
        return task

    def end(task: asyncio.Future[Asked]) -> None:
        tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen

    try:
        yield in_order(batches, begin, LOOK_AHEAD * in_flight)
    finally:
        left = list(tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
