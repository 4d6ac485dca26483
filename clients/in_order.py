"""Texts as requests: as many in each as it may hold, a few under way at once, answered in order."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from typing import Any, Callable, NamedTuple, TypeVar

from pipeline.errors import ClassifierError, InputError, ServerError
from pipeline.files.chunks import CHARACTERS_PER_CHUNK, chunks
from pipeline.labels.decoding import Answer
from pipeline.served import ServedModel
from pipeline.service_messages import bytes_in_request

BATCH_SIZE = 32
REQUESTS_IN_FLIGHT = 4
LOOK_AHEAD = 4
"""Batches of a stream that are asked for and not yet taken, by requests in flight: others go on while one is slow."""
INTERRUPT_SECONDS = 0.5
"""Python's main thread, when it waits without a limit, does not notice a signal that another thread receives, or that
comes as the wait begins; so it looks up this often."""
TOO_MUCH_SIGNS = ("batch-size must be", "larger than max", "texts in one request", "the rest in other requests")
"""Of refusals, by Triton, gRPC and the Paddle Serving service, of what holds too much: fewer texts may pass."""
_ROW = re.compile(r"\brow (\d+): ")

Asked = TypeVar("Asked")


class Batch(NamedTuple):
    """Texts of one request; `first` counts the stream's texts from 1."""

    first: int
    texts: Sequence[str]

    @contextmanager
    def placed(self) -> Iterator[None]:
        """Say of an error which texts of a stream it is about: of a fault in one row, that text alone."""
        try:
            yield
        except ClassifierError as error:
            first, last, said = self.first, self.first + len(self.texts) - 1, str(error)
            if isinstance(error, InputError) and (row := _ROW.search(said)):
                first = last = self.first + int(row[1])
                said = said[: row.start()] + said[row.end() :]
            where = f"text {last}" if last == first else f"texts {first} to {last}"
            raise type(error)(f"in {where}: {said}") from error

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Let an error name the row of the list that this is a part of."""
        try:
            yield
        except InputError as error:
            said = _ROW.sub(lambda found: f"row {self.first - 1 + int(found[1])}: ", str(error), count=1)
            raise InputError(said) from error


def in_order(
    batches: Iterable[Sequence[str]], ask: Callable[[Sequence[str]], Asked], in_flight: int = REQUESTS_IN_FLIGHT
) -> Iterator[tuple[Batch, Asked]]:
    """Yield each batch with the future, or whatever `ask` gave for it, when its turn has come.

    At most `in_flight` of them are asked for and not yet left behind by the caller, so that a stream of any length
    takes bounded memory.

    Raises:
        InputError: `in_flight` is below 1.
        ClassifierError: `batches` raised it; those that came before have been yielded by then.
    """
    if in_flight < 1:
        raise InputError(f"in_flight is {in_flight}; give at least 1")
    under_way: deque[tuple[Batch, Asked]] = deque()
    first = 1
    try:
        for batch in batches:
            under_way.append((Batch(first, batch), ask(batch)))
            first += len(batch)
            if len(under_way) == in_flight:
                yield under_way.popleft()
    except ClassifierError:
        yield from under_way
        raise
    yield from under_way


def batches(texts: Iterable[str], batch_size: int) -> Iterator[list[str]]:
    """Batches of a stream; very long texts make smaller ones.

    Raises:
        InputError: `batch_size` is below 1.
        ClassifierError: `texts` raised it; the batches that came before have been yielded by then.
    """
    if batch_size < 1:
        raise InputError(f"batch_size is {batch_size}; give at least 1")
    return chunks(texts, batch_size, CHARACTERS_PER_CHUNK)


def parts(texts: Sequence[str], model: ServedModel | None, singly: bool = False) -> list[Sequence[str]]:
    """The texts, cut into as many as a request to the model may hold, all where that is not known; or one by one.

    A single text stays whole, however long it is.
    """
    if singly:
        return [texts[row : row + 1] for row in range(len(texts))]
    if model is None:
        return [texts]
    sizes = list(map(bytes_in_request, texts))
    cut, start = [], 0
    for end in range(1, len(texts) + 1):
        if end == len(texts) or not model.holds(sizes[start : end + 1]):
            cut.append(texts[start:end])
            start = end
    return cut


class Streams:
    """A client that classifies a list of texts, and so a stream of them."""

    classify: Callable[..., list[Answer]]
    answered: Callable[[], dict[str, ServedModel | None]]
    timeout_seconds: float
    _limits: ServedModel | None = None
    """What a request may hold; asked for when one is refused."""

    def model(self) -> ServedModel:
        """What a server, the next one in turn, serves just now.

        Raises:
            ServerError: it does not answer, or not say: it is of an earlier release.
        """
        return self._model(time.monotonic() + self.timeout_seconds)

    def _model(self, deadline: float) -> ServedModel:
        raise NotImplementedError

    def labels(self) -> list[str]:
        """The label paths of the served bundle, in the order of the scores; raises as `model` does."""
        return list(self.model().labels)

    def classify_stream(
        self,
        texts: Iterable[str],
        batch_size: int = BATCH_SIZE,
        in_flight: int = REQUESTS_IN_FLIGHT,
        **options: Any,
    ) -> Iterator[tuple[str, Answer]]:
        """Yield each text with its answer, in order, while at most `in_flight` requests are under way.

        Args:
            texts: of any number; they are read as answers are taken.
            options: as `classify` takes them.

        Raises:
            InputError, ServerError: as `classify` does; answers to earlier texts have been yielded by then.
        """
        for batch, answer in _awaited(batches(texts, batch_size), partial(self.classify, **options), in_flight):
            with batch.placed():
                answers = answer.result()
            yield from zip(batch.texts, answers)

    def _in_parts(
        self,
        texts: Sequence[str],
        ask: Callable[[Sequence[str], float], Asked],
        deadline: float | None = None,
        singly: bool = False,
    ) -> list[Asked]:
        """What `ask` gives for the texts or, where one request may not hold them, for each part of them, in order.

        All of it has to be there at one `deadline`, of `time.monotonic`, which `ask` is told; None is for a call that
        begins now. With `singly` each text is a part.
        """
        deadline = time.monotonic() + self.timeout_seconds if deadline is None else deadline
        cut = parts(texts, self._limits, singly)
        if len(cut) == 1:
            try:
                return [ask(texts, deadline)]
            except InputError as refused:
                if not holds_too_much(texts, refused):
                    raise
                self._limits = _limits(refused, partial(self._model, deadline))
                cut = parts(texts, self._limits)
                if len(cut) == 1:
                    raise
        given = []
        for part, answer in _awaited(cut, lambda each: self._in_parts(each, ask, deadline), REQUESTS_IN_FLIGHT):
            with part.counted():
                given += answer.result()
        return given


def holds_too_much(texts: Sequence[str], refused: InputError) -> bool:
    """Whether fewer of the texts may pass where these were refused."""
    return len(texts) > 1 and any(sign in str(refused) for sign in TOO_MUCH_SIGNS)


def _limits(refused: InputError, ask: Callable[[], ServedModel]) -> ServedModel:
    """What the server says of how much a request may hold; one that does not say has refused for good."""
    try:
        return ask()
    except ServerError:
        raise refused from None


def _awaited(
    batches: Iterable[Sequence[str]], ask: Callable[[Sequence[str]], Asked], in_flight: int
) -> Iterator[tuple[Batch, Future[Asked]]]:
    """As `in_order`, with `ask` in `in_flight` threads; what comes is done."""
    pool = ThreadPoolExecutor(max(1, in_flight), "classify")  # in_order refuses less
    try:
        for batch, answer in in_order(batches, lambda each: pool.submit(ask, each), LOOK_AHEAD * in_flight):
            while not answer.done():
                wait([answer], INTERRUPT_SECONDS)
            yield batch, answer
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
