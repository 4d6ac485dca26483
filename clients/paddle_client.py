"""What the RPC and the HTTP client of the Paddle Serving service share."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain
from typing import TypeVar

from clients.in_order import Streams
from clients.patience import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, RETRIES, TIMEOUT_SECONDS, check_patience
from pipeline.errors import InputError, ServerError
from pipeline.labels.decoding import Answer
from pipeline.served import ServedModel, unsaid
from pipeline.service_messages import OVERLOADED, SENTENCE, TIMED_OUT, read_answers, read_fields, write_texts
from pipeline.tensors import ABOUT, EXPLAIN, POLICY, PROMISE, THRESHOLD, TOP_K
from pipeline.text.normalisation import require_list

Client = TypeVar("Client", bound="PaddleClient")


class Unavailable(ServerError):
    """Nobody listens, or the service has too much to do: the request was not begun, and may be sent again."""


class Overloaded(Unavailable):
    """The service is there, and has too much to do."""


class TooLate(ServerError):
    """There was no answer in time."""


class PaddleClient(Streams):
    """Classifies texts with the Paddle Serving service; a subclass says how a request travels.

    Args:
        url: host and port, without a scheme.
        timeout_seconds: how long a call may take, in however many requests it travels, and whatever it retries.
        retries: how often it is made again, after a pause that grows, while the service is unavailable.

    Raises:
        InputError: a value outside those.
    """

    def __init__(self, url: str, timeout_seconds: float = TIMEOUT_SECONDS, retries: int = RETRIES) -> None:
        if "://" in url or not url.rpartition(":")[2].isdigit():
            raise InputError(f"server address {url!r}: give host:port without a scheme")
        check_patience(timeout_seconds, retries)
        self.url, self.timeout_seconds, self.retries = url, timeout_seconds, retries

    def __enter__(self: Client) -> Client:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""

    def ask(self, keys: Sequence[str], values: Sequence[str], seconds: float) -> dict[str, str]:
        """The answer's fields to a request that is sent once; raises InputError, or a kind of ServerError."""
        raise NotImplementedError

    def _model(self, deadline: float) -> ServedModel:
        try:
            about = self._ask_patiently([ABOUT], [""], deadline)[ABOUT]
        except (InputError, KeyError):
            raise unsaid(self.url) from None
        return ServedModel.from_json(about, self.url)

    def answered(self) -> dict[str, ServedModel | None]:
        """What is served where this client was answered; None where that is not said."""
        try:
            return {self.url: self.model()}
        except ServerError:
            return {self.url: None}

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
            InputError: `texts` is no list, or the service refuses an option or a text; the message names the row.
            ServerError: it does not answer in time, or fails.
        """
        require_list(texts)
        if len(texts) == 0:
            return []
        given = {THRESHOLD: threshold, POLICY: policy, TOP_K: top_k, PROMISE: promise, EXPLAIN: explain or None}
        options = {name: str(value) for name, value in given.items() if value is not None}
        return list(
            chain.from_iterable(self._in_parts(texts, partial(self._classify, options=options), singly=explain))
        )

    def _classify(self, texts: Sequence[str], deadline: float, options: Mapping[str, str]) -> list[Answer]:
        fields = {SENTENCE: write_texts(texts), **options}
        answers = read_answers(self._ask_patiently(list(fields), list(fields.values()), deadline))
        if len(answers) != len(texts):
            raise ServerError(f"{self.url} answered {len(answers)} texts of {len(texts)}")
        return answers

    def unavailable(self, reason: str, kind: type[Unavailable] = Unavailable) -> Unavailable:
        return kind(
            f"{self.url} is overloaded ({reason}); send less at once, or allow more retries and time"
            if kind is Overloaded
            else f"no Paddle Serving service answers at {self.url} ({reason}); start one with `make serve-paddle`, "
            "check the address, or ask again in a moment if it is changing versions"
        )

    def too_late(self) -> TooLate:
        return TooLate(
            f"{self.url} gave no answer within {self.timeout_seconds:g} s; allow more time, or ask for less at once"
        )

    def read(self, err_no: int, message: str, keys: Sequence[str], values: Sequence[str]) -> dict[str, str]:
        """The fields of an answer; raises as `ask` does."""
        if err_no == OVERLOADED:
            raise self.unavailable(message, Overloaded)
        if err_no == TIMED_OUT:
            raise TooLate(f"{self.url}: {message}")
        return read_fields(err_no, message, keys, values)

    def _ask_patiently(self, keys: Sequence[str], values: Sequence[str], deadline: float) -> dict[str, str]:
        pause = FIRST_PAUSE_SECONDS
        for attempt in range(self.retries + 1):
            try:
                return self.ask(keys, values, max(0.001, deadline - time.monotonic()))
            except Unavailable:
                seconds = random.uniform(0, pause)
                if attempt == self.retries or time.monotonic() + seconds >= deadline:
                    raise
                time.sleep(seconds)
                pause = min(LONGEST_PAUSE_SECONDS, 2 * pause)
        raise AssertionError("the last attempt returns or raises")
