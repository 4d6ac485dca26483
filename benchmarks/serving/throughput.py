"""Throughput and latency of the Triton ensemble, beside the design that a user has today.

    python -m benchmarks.serving.throughput --texts data/test.txt --output_file results.json

Three take turns on the same texts: the ensemble as `serving.publish` writes it, the baseline of
`benchmarks.serving.origin_design`, and the offline predictor with the ensemble's bundle. Both servers stay up; who is
not measured has nothing to do, and its processor time is watched. What counts are the ratios within a round. In each
round the speed of the machine's matrix products is measured too: it limits how many texts any design could answer.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.compute.matrix_products import MatrixProducts, count_work
from benchmarks.options import RecordOptions, RoundsOptions
from benchmarks.records import environment
from benchmarks.rounds import impossible, noisy
from benchmarks.serving.pair import PairOptions, serve_pair
from benchmarks.serving.turns import Contestants, report, summarise
from pipeline.command import run
from pipeline.compute.runtimes.openvino_runtime import ELEMENT_TYPES
from pipeline.options import option, parse


@dataclass(frozen=True)
class ThroughputOptions(PairOptions, RoundsOptions, RecordOptions):
    """How long everybody's turns are."""

    concurrency: tuple[int, ...] = option((1, 32), "requests under way at once", at_least=1)
    seconds: float = option(8.0, "seconds that a turn should take at least", above=0, at_most=300)
    budget_seconds: float = option(3600.0, "seconds after which no further round begins", above=0)


def measure(options: ThroughputOptions) -> dict[str, Any]:
    """The record of all rounds.

    Raises:
        InputError: what is to be served or sent cannot be used.
        ClassifierError: a server does not start, or answers other than its bundle does in process.
    """
    texts = options.shuffled()
    about = environment()
    with tempfile.TemporaryDirectory(prefix="triton-throughput-") as folder, ExitStack() as stack:
        pair = stack.enter_context(serve_pair(options, texts, Path(folder)))
        described = pair.about(options)
        flop_per_text, limit = count_work(pair.bundle).flop(described["tokens per text"]), None
        if pair.precision in ELEMENT_TYPES:
            products = stack.enter_context(MatrixProducts(pair.precision, options.threads or None))
            limit = lambda: products.flop_per_second() / flop_per_text  # noqa: E731
        contestants = Contestants(pair.servers, pair.predictor, pair.texts, Path(folder), limit)
        rounds = contestants.measure(options.concurrency, options.rounds, options.seconds, options.budget_seconds)
    return {
        "environment": about,
        **described,
        "GFLOP per text": round(flop_per_text / 1e9, 3),
        "summary": summarise(rounds),
        "rounds": rounds,
    }


def parse_args(argv: Sequence[str] | None) -> ThroughputOptions:
    return parse(ThroughputOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    results = measure(options)
    options.write(results)
    report(results)
    medians = {name: figure["median"] for name, figure in results["summary"].items()}
    summary = results["summary"]
    told = {"pairs": len(results["rounds"]), "noisy": noisy(summary), "impossible": impossible(summary)}
    print(json.dumps({**medians, **told}))


if __name__ == "__main__":
    run(main)
