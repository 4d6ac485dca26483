"""Load on a Triton server whose every answer is checked against the label set that the text must get."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from clients.proxies import channel_options
from clients.triton import TritonClient
from pipeline.errors import ClassifierError
from pipeline.predictor import Predictor
from pipeline.tensors import CONFIDENCE, ENSEMBLE, LABEL, TEXT
from serving.golden import MARGIN

RIGHT, WRONG, REFUSED, FAILED = "right", "wrong", "refused", "failed"


UNBOUNDED = [(f"grpc.max_{way}_message_length", -1) for way in ("send", "receive")]


@dataclass
class Tally:
    """What became of the requests.

    Attributes:
        outcomes: how many ended RIGHT, WRONG, REFUSED (UNAVAILABLE) or FAILED.
        seconds: how long the requests of each outcome took.
        moments: when each ended, by `time.monotonic`, in the order of `seconds`.
        messages: what failed requests were told, with counts.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    moments: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    messages: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, outcome: str, started: float, message: str = "") -> None:
        """Count a request that began at `started` and ended now."""
        now = time.monotonic()
        with self.lock:
            self.outcomes[outcome] += 1
            self.seconds[outcome].append(now - started)
            self.moments[outcome].append(now)
            if message:
                self.messages[message[:120]] += 1

    def percentile_ms(self, outcome: str, share: float) -> float:
        """Milliseconds within which that share of the requests of an outcome ended; nan where there is none."""
        return 1000 * float(np.percentile(self.seconds[outcome], share)) if self.seconds[outcome] else float("nan")

    def within(self, outcome: str, start: float, end: float) -> int:
        """How many requests of an outcome ended in that time."""
        return sum(start <= moment < end for moment in self.moments[outcome])


def reliable_answers(predictors: Sequence[Predictor], texts: Iterable[str]) -> dict[str, list[frozenset[str]]]:
    """Per text the label set that each predictor gives it; texts whose answer may depend on rounding are left out."""
    texts = list(dict.fromkeys(texts))
    keep, answers = np.ones(len(texts), bool), []
    for predictor in predictors:
        decoded = predictor.decode(texts)
        thresholds = np.asarray(predictor.bundle.manifest.thresholds, np.float32)
        keep &= np.abs(decoded.scores - thresholds).min(axis=1) >= MARGIN
        if (
            predictor.bundle.manifest.decoding.at_least_one
        ):  # the best of labels that are below their thresholds may tie
            keep &= (decoded.scores >= thresholds).any(axis=1)
        answers.append([frozenset(prediction.label for prediction in row) for row in decoded.predictions()])
    return {text: list(each) for text, ok, *each in zip(texts, keep, *answers) if ok}


class CheckedLoad:
    """Sends texts and judges the answers.

    Args:
        address: the server's gRPC `host:port`.
        expected: the label sets that a text may get; any where there is none.
        timeout_seconds: how long a request may take.
        connections: that requests take in turn.
        texts_per_request: how many travel together.
    """

    def __init__(
        self,
        address: str,
        expected: Mapping[str, Sequence[frozenset[str]]],
        timeout_seconds: float = 30.0,
        connections: int = 1,
        texts_per_request: int = 1,
    ) -> None:
        self.tally, self.expected = Tally(), expected
        self._timeout_seconds = timeout_seconds
        apart = [("grpc.use_local_subchannel_pool", 1)]
        settings = [*UNBOUNDED, *channel_options(address), *(apart if connections > 1 else [])]
        self._clients = [grpc.InferenceServerClient(address, channel_args=settings) for _ in range(connections)]
        texts, count = list(expected), texts_per_request
        together = [[texts[(row + more) % len(texts)] for more in range(count)] for row in range(0, len(texts), count)]
        self._requests = [(self._request(each), [expected[text] for text in each]) for each in together]
        self._outputs = [grpc.InferRequestedOutput(name) for name in (LABEL, CONFIDENCE)]
        self._done = threading.Event()

    @staticmethod
    def _request(texts: Sequence[str]) -> Any:
        tensor = grpc.InferInput(TEXT, [len(texts), 1], "BYTES")
        tensor.set_data_from_numpy(np.array([[text.encode()] for text in texts], object))
        return tensor

    def run_clients(self, clients: int, until: Callable[[], bool]) -> None:
        """Keep `clients` requests under way until `until` says that it is enough."""
        self._done.clear()
        threads = [threading.Thread(target=self._ask_on, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        try:
            while not until():
                time.sleep(0.1)
        finally:
            self._done.set()
            for thread in threads:
                thread.join()

    def run_arrivals(self, per_second: float, seconds: float, seed: int = 3) -> None:
        """Send requests at Poisson arrivals, whether or not earlier ones are answered; then wait for all answers.

        They are timed from when they were meant to be sent, so that a late start hides nothing.
        """
        gaps = np.random.default_rng(seed).exponential(1 / per_second, int(per_second * seconds))
        self.run_at(time.monotonic() + np.cumsum(gaps))

    def run_at(self, moments: Iterable[float]) -> None:
        """As `run_arrivals`, at moments of `time.monotonic`, ascending."""
        waiting = []
        for number, moment in enumerate(moments):
            time.sleep(max(0.0, moment - time.monotonic()))
            waiting.append(self._send(number, moment))
        for answered in waiting:
            answered.wait(2 * self._timeout_seconds)

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients:
            client.close()

    def outcome(self, error: InferenceServerException) -> str:
        """REFUSED or FAILED, of a request without an answer."""
        return REFUSED if "UNAVAILABLE" in str(error.status()) else FAILED

    def _ask_on(self, number: int) -> None:
        while not self._done.is_set():
            number += 7
            self._send(number).wait(2 * self._timeout_seconds)

    def _send(self, number: int, meant: float | None = None) -> threading.Event:
        tensor, answers = self._requests[number % len(self._requests)]
        started, answered = meant or time.monotonic(), threading.Event()

        def finish(result: Any, error: InferenceServerException | None) -> None:
            if error is None:
                rows = [frozenset(label.decode() for label in row if label) for row in result.as_numpy(LABEL)]
                right = all(labels in wanted or not wanted for labels, wanted in zip(rows, answers))
                self.tally.add(RIGHT if right else WRONG, started)
            else:
                self.tally.add(self.outcome(error), started, str(error.message()))
            answered.set()

        self._clients[number % len(self._clients)].async_infer(
            ENSEMBLE, [tensor], finish, outputs=self._outputs, client_timeout=self._timeout_seconds
        )
        return answered


class CheckedCalls:
    """Callers that ask several servers by the project's client, some texts in each request.

    A request is right where all of its texts get the label sets of one and the same version.

    Args:
        urls: the servers' gRPC `host:port`.
        expected: per text the label set that each version gives it; any where there is none.
        texts: in a request.
    """

    def __init__(self, urls: Sequence[str], expected: Mapping[str, Sequence[frozenset[str]]], texts: int = 4) -> None:
        self.tally, self.by_version = Tally(), Counter[int]()
        self._urls, self._expected, self._texts = list(urls), dict(expected), texts

    def run(self, callers: int, until: Callable[[], bool]) -> None:
        """Ask by so many callers, each one request after another, until `until` says that it is enough."""
        done = threading.Event()
        with TritonClient(self._urls) as client:
            threads = [threading.Thread(target=self._ask_on, args=(client, number, done)) for number in range(callers)]
            for thread in threads:
                thread.start()
            try:
                while not until():
                    time.sleep(0.1)
            finally:
                done.set()
                for thread in threads:
                    thread.join()

    def _ask_on(self, client: TritonClient, seed: int, done: threading.Event) -> None:
        choice = random.Random(seed)
        while not done.is_set():
            texts, started = choice.sample(list(self._expected), self._texts), time.monotonic()
            try:
                answers = [frozenset(label for label, _ in answer) for answer in client.classify(texts)]
            except ClassifierError as error:
                self.tally.add(FAILED, started, str(error))
                continue
            versions = range(len(self._expected[texts[0]]))
            by = [each for each in versions if answers == [self._expected[text][each] for text in texts]]
            right = by or not versions
            self.tally.add(RIGHT if right else WRONG, started, "" if right else str([*map(sorted, answers)]))
            if len(by) == 1:
                with self.tally.lock:
                    self.by_version[by[0]] += 1
