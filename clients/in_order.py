"""A stream of texts as requests of which a few are under way at once, answered in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, Callable, NamedTuple, TypeVar

from pipeline.errors import ClassifierError, InputError
from pipeline.files.chunks import CHARACTERS_PER_CHUNK, chunks
from pipeline.labels.decoding import Prediction

BATCH_SIZE = 32
REQUESTS_IN_FLIGHT = 4
INTERRUPT_SECONDS = 0.5
"""Python's main thread, when it waits without a limit, does not notice a signal that another thread receives, or that
comes as the wait begins; so it looks up this often."""

Answer = TypeVar("Answer")


class Batch(NamedTuple):
    """Texts of one request; `first` counts the stream's texts from 1."""

    first: int
    texts: list[str]

    @contextmanager
    def placed(self) -> Iterator[None]:
        """Say of an error which texts it is about."""
        try:
            yield
        except ClassifierError as error:
            last = self.first + len(self.texts) - 1
            where = f"text {last}" if last == self.first else f"texts {self.first} to {last}"
            raise type(error)(f"in {where}: {error}") from error


def in_order(
    texts: Iterable[str], ask: Callable[[list[str]], Answer], batch_size: int, in_flight: int
) -> Iterator[tuple[Batch, Answer]]:
    """Yield each batch with the future, or whatever `ask` gave for it, when its turn has come.

    At most `in_flight` of them are asked for and not yet left behind by the caller, so that a stream of any length
    takes bounded memory; very long texts make smaller batches.

    Raises:
        InputError: `batch_size` or `in_flight` is below 1.
        ClassifierError: `texts` raised it; the batches that came before have been yielded by then.
    """
    for name, value in (("batch_size", batch_size), ("in_flight", in_flight)):
        if value < 1:
            raise InputError(f"{name} is {value}; give at least 1")
    under_way: deque[tuple[Batch, Answer]] = deque()
    first = 1
    try:
        for batch in chunks(texts, batch_size, CHARACTERS_PER_CHUNK):
            under_way.append((Batch(first, batch), ask(batch)))
            first += len(batch)
            if len(under_way) == in_flight:
                yield under_way.popleft()
    except ClassifierError:
        yield from under_way
        raise
    yield from under_way


class Streams:
    """A client that can `classify` a list of texts, and so a stream of them."""

    classify: Callable[..., list[list[Prediction]]]

    def classify_stream(
        self,
        texts: Iterable[str],
        batch_size: int = BATCH_SIZE,
        in_flight: int = REQUESTS_IN_FLIGHT,
        **options: Any,
    ) -> Iterator[tuple[str, list[Prediction]]]:
        """Yield each text with its predictions, in order, while at most `in_flight` requests are under way.

        Args:
            texts: of any number; they are read as answers are taken.
            options: as `classify` takes them.

        Raises:
            InputError, ServerError: as `classify` does; answers to earlier texts have been yielded by then.
        """
        pool = ThreadPoolExecutor(max(1, in_flight), "classify")  # in_order refuses less

        def ask(batch: list[str]) -> Future[list[list[Prediction]]]:
            return pool.submit(self.classify, batch, **options)

        try:
            for batch, answer in in_order(texts, ask, batch_size, in_flight):
                while not answer.done():
                    wait([answer], INTERRUPT_SECONDS)
                with batch.placed():
                    predictions = answer.result()
                yield from zip(batch.texts, predictions)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
