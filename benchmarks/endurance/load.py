"""Mixed load on both servers, whose every answer is checked."""

from __future__ import annotations

import json
import random
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from benchmarks.endurance.answers import CHOICES, Answers
from clients.http_client import HttpClient
from clients.paddle_client import PaddleClient
from clients.triton import TritonClient
from pipeline.errors import InputError, ServerError
from pipeline.labels.answers import Answer
from pipeline.tensors import CONFIDENCE, ENSEMBLE, LABEL, TEXT
from serving.folders import TRITON

RIGHT, WRONG, REFUSED, FAILED = "right", "wrong", "refused", "failed"
TIMEOUT_SECONDS = 10.0
BATCHES = (2, 8, 32)
MOST_PAUSE_SECONDS = 0.1
"""Between two requests of a caller; both servers and the load share the machine."""
KEPT_MESSAGES = 100


class Wrong(Exception):
    """An answer that no version gives."""


@dataclass
class Tally:
    """What became of one server's requests.

    Attributes:
        outcomes: how many of each kind ended how.
        seconds: of right answers of each kind, by tenths of a second.
        failures: when requests failed, by `time.monotonic`, of what kind, and what was said.
        wrong: what was wrong, of the first ones.
        last_right: when each kind was last answered rightly.
    """

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: Counter[tuple[str, int]] = field(default_factory=Counter)
    failures: list[tuple[float, str, str]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    last_right: dict[str, float] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, kind: str, outcome: str, started: float, said: str = "") -> None:
        now = time.monotonic()
        with self.lock:
            self.outcomes[kind, outcome] += 1
            if outcome == RIGHT:
                self.last_right[kind] = now
                self.seconds[kind, int(10 * (now - started))] += 1
            elif outcome == FAILED:
                self.failures.append((now, kind, said[:200]))
            elif outcome == WRONG and len(self.wrong) < KEPT_MESSAGES:
                self.wrong.append(f"{kind}: {said[:300]}")

    def count(self, outcome: str) -> int:
        with self.lock:
            return sum(count for (_, ended), count in self.outcomes.items() if ended == outcome)

    def by_kind(self) -> dict[str, dict[str, int]]:
        """Counts by kind and outcome."""
        kinds = sorted({kind for kind, _ in self.outcomes})
        return {kind: {name: self.outcomes[kind, name] for name in (RIGHT, WRONG, REFUSED, FAILED)} for kind in kinds}


class Load:
    """Callers of one server, each of one kind, one request after the other.

    Args:
        server: TRITON or PADDLE.
        answers: what texts must get.
        address: of gRPC, or of Paddle Serving's HTTP.
        json_address: of Triton's HTTP.

    Attributes:
        versions: identities of the bundles that may answer now; whoever publishes changes it.
    """

    def __init__(self, server: str, answers: Answers, live: str, address: str, json_address: str = "") -> None:
        self.server, self.versions, self.tally = server, frozenset({live}), Tally()
        self._answers, self._json_address = answers, json_address
        self._done = threading.Event()
        self.client: TritonClient | PaddleClient = (
            TritonClient(address, TIMEOUT_SECONDS, retries=0)
            if server == TRITON
            else HttpClient(address, TIMEOUT_SECONDS, retries=0)
        )
        kinds: dict[str, Callable[[random.Random], None]] = {
            "short": partial(self._classify, self._one_short),
            "another short": partial(self._classify, self._one_short),
            "long": partial(self._classify, self._one_long),
            "batch": partial(self._classify, self._batch),
            "options": self._choose,
            "explain": self._explain,
            "bad": self._bad,
        }
        if server == TRITON:
            kinds |= {"scores": self._scores, "JSON": self._json}
        self.kinds = kinds
        self._threads = [threading.Thread(target=self._ask_on, args=each, daemon=True) for each in kinds.items()]

    def start(self) -> None:
        """Begin to ask."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, once what is under way has ended."""
        self._done.set()
        for thread in self._threads:
            thread.join(2 * TIMEOUT_SECONDS)
        with suppress(ServerError):
            self.client.close()

    def answers_all_since(self, moment: float) -> bool:
        """Whether requests of each kind that began then or later have been answered rightly."""
        return all(self.tally.last_right.get(kind, 0.0) > moment for kind in self.kinds)

    def _ask_on(self, kind: str, ask: Callable[[random.Random], None]) -> None:
        chance = random.Random(f"{self.server} {kind}")
        while not self._done.wait(chance.uniform(0, MOST_PAUSE_SECONDS)):
            started = time.monotonic()
            try:
                ask(chance)
                self.tally.add(kind, RIGHT, started)
            except Wrong as wrong:
                self.tally.add(kind, WRONG, started, str(wrong))
            except ServerError as error:
                self.tally.add(kind, REFUSED if "overloaded" in str(error) else FAILED, started, str(error))
                self._done.wait(MOST_PAUSE_SECONDS)
            except Exception as error:  # noqa: BLE001 - whatever a client raises is a finding, and the caller goes on
                self.tally.add(kind, WRONG, started, repr(error))

    def _one_short(self, chance: random.Random) -> list[str]:
        return [chance.choice(self._answers.short)]

    def _one_long(self, chance: random.Random) -> list[str]:
        return [chance.choice(self._answers.long)]

    def _batch(self, chance: random.Random) -> list[str]:
        return chance.sample(self._answers.short, min(chance.choice(BATCHES), len(self._answers.short)))

    def _classify(self, choose: Callable[[random.Random], list[str]], chance: random.Random, choice: int = 0) -> None:
        texts, before = choose(chance), self.versions
        self._check(texts, self.client.classify(texts, **CHOICES[choice]), before | self.versions, choice)  # type: ignore[arg-type]

    def _choose(self, chance: random.Random) -> None:
        self._classify(self._one_short, chance, chance.randrange(1, len(CHOICES)))

    def _explain(self, chance: random.Random) -> None:
        texts, before = self._one_short(chance), self.versions
        (answer,) = answers = self.client.classify(texts, explain=True)
        self._check(texts, answers, before | self.versions)
        if answer.why is None or answer.why.labels.keys() != {each.label for each in answer}:
            raise Wrong(f"the explanation is {answer.why}")
        for reason in (reason for reasons in answer.why.labels.values() for reason in reasons):
            if texts[0][reason.start : reason.end] != reason.text:
                raise Wrong(f"{reason} is not in {texts[0]!r}")

    def _scores(self, chance: random.Random) -> None:
        texts, before = self._batch(chance), self.versions
        assert isinstance(self.client, TritonClient)
        scores = self.client.scores(texts)
        if fault := self._answers.scores_fault(texts, scores, before | self.versions):
            raise Wrong(fault)

    def _bad(self, chance: random.Random) -> None:
        """What must be refused, with a word on the row."""
        try:
            self.client.classify([*self._one_short(chance), "  "])
        except InputError as error:
            if "row 1" not in str(error):
                raise Wrong(f"an empty text is refused by: {error}") from None
        else:
            raise Wrong("an empty text was answered")

    def _json(self, chance: random.Random) -> None:
        texts, before = self._batch(chance)[:8], self.versions
        tensor = {"name": TEXT, "shape": [len(texts), 1], "datatype": "BYTES", "data": texts}
        body = json.dumps({"inputs": [tensor], "outputs": [{"name": LABEL}, {"name": CONFIDENCE}]}).encode()
        try:
            url = f"http://{self._json_address}/v2/models/{ENSEMBLE}/infer"
            with urllib.request.urlopen(urllib.request.Request(url, body), timeout=TIMEOUT_SECONDS) as answer:
                found: Any = {each["name"]: each for each in json.load(answer)["outputs"]}
        except OSError as error:
            said = error.read().decode(errors="replace") if hasattr(error, "read") else str(error)
            raise ServerError(f"{error}: {said}") from None
        width = found[LABEL]["shape"][1]
        rows = [slice(row * width, (row + 1) * width) for row in range(len(texts))]
        got = [dict(zip(found[LABEL]["data"][row], found[CONFIDENCE]["data"][row])) for row in rows]
        self._check_each(
            texts, [{label: each[label] for label in each if label} for each in got], before | self.versions
        )

    def _check(
        self, texts: Sequence[str], answers: Sequence[Answer], versions: frozenset[str], choice: int = 0
    ) -> None:
        self._check_each(texts, [dict(answer) for answer in answers], versions, choice)

    def _check_each(
        self, texts: Sequence[str], answers: Sequence[dict[str, float]], versions: frozenset[str], choice: int = 0
    ) -> None:
        if len(texts) != len(answers):
            raise Wrong(f"{len(texts)} texts got {len(answers)} answers")
        faults = filter(None, (self._answers.fault(*each, choice, versions) for each in zip(texts, answers)))
        if fault := next(faults, ""):
            raise Wrong(fault)
