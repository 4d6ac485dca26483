"""A stream of texts as requests of which a few are under way at once, answered in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Callable, NamedTuple, TypeVar

from pipeline.chunks import CHARACTERS_PER_CHUNK, chunks
from pipeline.errors import ClassifierError, InputError

BATCH_SIZE = 32
REQUESTS_IN_FLIGHT = 4

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
            raise type(error)(f"in texts {self.first} to {last}: {error}") from error


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
