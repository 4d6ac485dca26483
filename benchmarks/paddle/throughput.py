"""Paddle Serving, with this project's service and with the design of the original: throughput.

    python -m benchmarks.paddle.throughput --bundle export --texts data/test.txt

Both serve the same graph in turns, asked by the same clients over RPC. Ends by printing one line of JSON.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.options import BundleOptions, RecordOptions, RoundsOptions, TextsOptions
from benchmarks.paddle.origin_service.server import BaselineServer
from benchmarks.records import environment
from benchmarks.rounds import ORIGIN, OURS
from pipeline.command import run
from pipeline.errors import ServerError
from pipeline.files.bundle import Bundle
from pipeline.options import option, parse
from pipeline.predictor import Predictor
from pipeline.text.normalisation import normalise
from serving.folders import PROJECT
from serving.paddle.deployment import PaddleDeployment
from serving.paddle.environment import serving_python
from serving.paddle.options import PaddleOptions
from serving.paddle.server import PaddlePorts, PaddleServer
from serving.process.ports import free_ports

WARM_SECONDS = 2.0


@dataclass(frozen=True)
class PaddleThroughputOptions(TextsOptions, BundleOptions, RoundsOptions, RecordOptions):
    """How both are asked."""

    clients: int = option(8, "clients that ask at the same time", at_least=1)
    seconds: float = option(4.0, "seconds of a turn", above=0)


def measure(options: PaddleThroughputOptions) -> dict[str, Any]:
    """The record of all rounds.

    Raises:
        InputError: the bundle or the texts cannot be used.
        EnvironmentFault: there is no environment of Paddle Serving, or of the baseline.
        ServerError: a service does not start, or the load fails.
    """
    serving_python()  # says what to do where there is none, before anything is made
    sent = options.shuffled()
    results: dict[str, Any] = {"environment": environment(), "clients": options.clients}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = options.open(folder, sent)
        results["model"] = bundle.manifest.model_name
        texts = [normalise(text, bundle.manifest.normalisation) for text in sent]
        load = Load(bundle, texts, folder, options.clients)
        PaddleDeployment(folder / "published").publish(bundle, PaddleOptions())
        with PaddleServer(folder / "published", PaddlePorts.free(), state_dir=folder / "state") as ours:
            ours.wait_ready()
            results.update(take_turns(ours, bundle, folder / "origin", load, options.rounds, options.seconds))
    return results


class Load:
    """Runs benchmarks.paddle.rpc_load in .venv-serving on texts whose answers are known."""

    def __init__(self, bundle: Bundle, texts: Sequence[str], folder: Path, clients: int) -> None:
        self._texts, self._expected, self._clients = folder / "texts.txt", folder / "expected.jsonl", clients
        answers = Predictor(bundle).predict(texts)
        lines = [json.dumps([each.label for each in answer], ensure_ascii=False) for answer in answers]
        self._texts.write_text("\n".join(texts), encoding="utf-8")
        self._expected.write_text("\n".join(lines), encoding="utf-8")

    def run(self, url: str, seconds: float, texts: int = 1) -> dict[str, float]:
        """What it printed; raises ServerError where it failed."""
        words = ["--url", url, "--texts", self._texts, "--expected", self._expected, "--clients", self._clients]
        words += ["--seconds", seconds, "--batch", texts]
        command = [str(serving_python()), "-W", "ignore", "-m", "benchmarks.paddle.rpc_load", *map(str, words)]
        done = subprocess.run(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise ServerError("the load failed; it has said why")
        return json.loads(done.stdout.splitlines()[-1])


def take_turns(
    ours: PaddleServer, bundle: Bundle, folder: Path, load: Load, rounds: int, seconds: float
) -> dict[str, Any]:
    """Medians of both services' figures, and of the ratio within a round."""
    (port,) = free_ports(1)
    with BaselineServer(bundle, port, folder) as origin:
        origin.wait_listening()
        urls = {OURS: ours.rpc_address, ORIGIN: origin.rpc_address}
        for url in urls.values():
            load.run(url, WARM_SECONDS)
        turns = [{name: load.run(url, seconds) for name, url in urls.items()} for _ in range(rounds)]
    ratios = [turn[OURS]["texts_per_second"] / turn[ORIGIN]["texts_per_second"] for turn in turns]
    for name in urls:
        rates = ", ".join(f"{turn[name]['texts_per_second']:.0f}" for turn in turns)
        print(f"{name:8} texts per second in each round: {rates}")
    print(f"ratio    {', '.join(f'{ratio:.1f}' for ratio in ratios)}")
    return {
        **{
            name: {key: statistics.median(turn[name][key] for turn in turns) for key in turns[0][name]} for name in urls
        },
        "ratio": round(statistics.median(ratios), 2),
        "ratio_range": [round(min(ratios), 2), round(max(ratios), 2)],
        "ours_32_texts_per_request": load.run(ours.rpc_address, seconds, 32),
    }


def parse_args(argv: Sequence[str] | None) -> PaddleThroughputOptions:
    return parse(PaddleThroughputOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    results = measure(options)
    options.write(results)
    print(json.dumps({name: value for name, value in results.items() if name != "environment"}))


if __name__ == "__main__":
    run(main)
