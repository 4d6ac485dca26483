"""Load on a Paddle Serving service, run in .venv-serving: so many clients, each asking one request after the other.

Prints one line of JSON: texts_per_second, p50_ms and p99_ms of
a request, requests, errors and, where it was told what to expect, wrong answers.
"""

from __future__ import annotations

import argparse
import itertools
import json
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from clients.rpc_client import RpcClient
from pipeline.command import run
from pipeline.errors import ClassifierError


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--url", required=True, help="the service's RPC address")
    add("--file", type=Path, required=True, help="a file with a text per line")
    add("--expected", type=Path, help="a JSON array of label paths per line: what each text must get")
    add("--clients", type=int, default=8, help="%(default)s")
    add("--texts", type=int, default=1, help="per request (%(default)s)")
    add("--seconds", type=float, default=5.0, help="%(default)s")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    texts = args.file.read_text(encoding="utf-8").splitlines()
    batches = [texts[start : start + args.texts] for start in range(0, len(texts) - args.texts + 1, args.texts)]
    wanted: dict[str, set[str]] = {}
    if args.expected:
        lines = args.expected.read_text(encoding="utf-8").splitlines()
        wanted = {text: set(json.loads(line)) for text, line in zip(texts, lines)}
    started = time.monotonic()
    times: list[list[float]] = [[] for _ in range(args.clients)]
    errors, wrong = [0] * args.clients, [0] * args.clients

    def ask(number: int) -> None:
        mine = itertools.cycle(batches[number :: args.clients])
        with RpcClient(args.url, retries=0) as client:
            while time.monotonic() < started + args.seconds:
                batch, before = next(mine), time.monotonic()
                try:
                    answers = client.classify(batch)
                except ClassifierError:
                    errors[number] += 1
                    continue
                times[number].append(time.monotonic() - before)
                for text, answer in zip(batch, answers):
                    wrong[number] += text in wanted and wanted[text] != {each.label for each in answer}

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(args.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds, every = time.monotonic() - started, 1000 * np.array([each for mine in times for each in mine] or [np.nan])
    figures = {
        "texts_per_second": round(args.texts * sum(map(len, times)) / seconds, 1),
        "p50_ms": round(float(np.percentile(every, 50)), 3),
        "p99_ms": round(float(np.percentile(every, 99)), 3),
        "requests": sum(map(len, times)),
        "errors": sum(errors),
        "wrong": sum(wrong),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    run(main)
