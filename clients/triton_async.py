"""Classify texts with Triton servers from asyncio:

async with AsyncTritonClient(["10.0.0.1:8001", "10.0.0.2:8001"]) as client:
    print(await client.classify(["某公司宣布裁员两千人"]))
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from typing import Any, Callable

import numpy as np
from tritonclient.grpc import aio
from tritonclient.utils import InferenceServerException

from clients.in_order import BATCH_SIZE, REQUESTS_IN_FLIGHT, in_order
from clients.patience import RETRIES, TIMEOUT_SECONDS
from clients.tls import TlsOptions
from clients.triton_calls import DEFAULT_URL, PARTING_SECONDS, Calls
from clients.triton_request import PREDICTIONS, inference, out_of_time, patience, read_predictions, read_scores
from pipeline.labels.decoding import Prediction
from pipeline.tensors import SCORES


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
        self._calls = Calls(aio.InferenceServerClient, urls, timeout_seconds, retries, tls)
        self._under_way: set[asyncio.Task[Any]] = set()

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
        metadata = await self._call(lambda connection, seconds: connection.get_server_metadata(client_timeout=seconds))
        return metadata.version

    async def classify(
        self,
        texts: Sequence[str],
        threshold: float | None = None,
        policy: str | None = None,
        top_k: int | None = None,
    ) -> list[list[Prediction]]:
        """As `TritonClient.classify`."""
        if len(texts) == 0:
            return []
        request = inference(texts, PREDICTIONS, threshold=threshold, policy=policy, top_k=top_k)
        return read_predictions(await self._infer(request))

    async def scores(self, texts: Sequence[str]) -> np.ndarray:
        """As `TritonClient.scores`."""
        return read_scores(await self._infer(inference(texts, [SCORES])))

    async def classify_stream(
        self,
        texts: Iterable[str],
        batch_size: int = BATCH_SIZE,
        in_flight: int = REQUESTS_IN_FLIGHT,
        **options: Any,
    ) -> AsyncIterator[tuple[str, list[Prediction]]]:
        """As `TritonClient.classify_stream`.

        `texts` is read in the event loop, so it should not be slow: a list, a file. Of texts that arrive one by one,
        `classify` each as it comes; the server joins those that are there at the same time.
        """
        tasks: set[asyncio.Task[list[list[Prediction]]]] = set()

        def ask(batch: list[str]) -> asyncio.Task[list[list[Prediction]]]:
            task = asyncio.ensure_future(self.classify(batch, **options))
            tasks.add(task)
            return task

        try:
            for batch, task in in_order(texts, ask, batch_size, in_flight):
                with batch.placed():
                    predictions = await task
                tasks.remove(task)
                for answer in zip(batch.texts, predictions):
                    yield answer
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _infer(self, request: dict[str, Any]) -> Any:
        async def send(connection: Any, seconds: float) -> Any:
            answer = asyncio.ensure_future(connection.infer(**request, **patience(seconds)))
            self._under_way.add(answer)
            answer.add_done_callback(self._ended)
            done, _ = await asyncio.wait([answer], timeout=seconds)
            if not done:
                raise out_of_time()
            return answer.result()

        return await self._call(send)

    def _ended(self, answer: asyncio.Task[Any]) -> None:
        self._under_way.discard(answer)
        if not answer.cancelled():
            answer.exception()  # seen, or asyncio would complain of one that nobody waited for any more

    async def _call(self, send: Callable[[Any, float], Awaitable[Any]]) -> Any:
        call = self._calls.begin()
        while True:
            connection, seconds = call.attempt()
            try:
                answer = await send(connection, seconds)
            except InferenceServerException as error:
                await asyncio.sleep(call.failed(error))
            else:
                call.succeeded()
                return answer
