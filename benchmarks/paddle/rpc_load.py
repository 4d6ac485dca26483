"""Load on a Paddle Serving service, run in .venv-serving: so many clients, each asking one request after the other.

.venv-serving/bin/python -m benchmarks.paddle.rpc_load --url 127.0.0.1:18090 --texts data/data.txt

Prints one line of JSON: texts_per_second, p50_ms and p99_ms of a request, requests, errors and, where it was told what
to expect, wrong answers.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clients.rpc_client import DEFAULT_URL, RpcClient
from pipeline.command import run
from pipeline.errors import ClassifierError, InputError
from pipeline.options import Options, option, parse


@dataclass(frozen=True)
class RpcLoadOptions(Options):
    """Who is asked what, by how many, and for how long."""

    url: str = option(DEFAULT_URL, "the service's RPC address")
    texts: Path = option(help="file with a text per line")
    expected: Path | None = option(None, "file with a JSON array of label paths per line: what each text must get")
    clients: int = option(8, "clients that ask at the same time", at_least=1)
    batch: int = option(1, "texts per request", at_least=1)
    seconds: float = option(5.0, "seconds that the load lasts", above=0)


def measure(options: RpcLoadOptions) -> dict[str, float]:
    """The figures of the load.

    Raises:
        InputError: there are too few texts for a request.
        EnvironmentFault: this Python lacks upstream's client.
    """
    texts = options.texts.read_text(encoding="utf-8").splitlines()
    size = options.batch
    batches = [texts[start : start + size] for start in range(0, len(texts) - size + 1, size)]
    if not batches:
        raise InputError(f"{options.texts} has {len(texts)} texts; --batch {size} needs as many")
    wanted: dict[str, set[str]] = {}
    if options.expected:
        lines = options.expected.read_text(encoding="utf-8").splitlines()
        wanted = {text: set(json.loads(line)) for text, line in zip(texts, lines)}
    times: list[list[float]] = [[] for _ in range(options.clients)]
    errors, wrong = [0] * options.clients, [0] * options.clients

    def ask(number: int, client: RpcClient, end: float) -> None:
        mine = itertools.cycle(batches[number:] + batches[:number])
        while time.monotonic() < end:
            batch, before = next(mine), time.monotonic()
            try:
                answers = client.classify(batch)
            except ClassifierError:
                errors[number] += 1
                continue
            times[number].append(time.monotonic() - before)
            for text, answer in zip(batch, answers):
                wrong[number] += text in wanted and wanted[text] != {each.label for each in answer}

    with ExitStack() as stack:
        clients = [stack.enter_context(RpcClient(options.url, retries=0)) for _ in range(options.clients)]
        started = time.monotonic()
        arguments = [(number, client, started + options.seconds) for number, client in enumerate(clients)]
        threads = [threading.Thread(target=ask, args=each) for each in arguments]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - started
    every = 1000 * np.array([each for mine in times for each in mine] or [np.nan])
    return {
        "texts_per_second": round(size * sum(map(len, times)) / seconds, 1),
        "p50_ms": round(float(np.percentile(every, 50)), 3),
        "p99_ms": round(float(np.percentile(every, 99)), 3),
        "requests": sum(map(len, times)),
        "errors": sum(errors),
        "wrong": sum(wrong),
    }


def parse_args(argv: Sequence[str] | None) -> RpcLoadOptions:
    return parse(RpcLoadOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    print(json.dumps(measure(parse_args(argv))))


if __name__ == "__main__":
    run(main)
