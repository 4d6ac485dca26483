"""Throughput and latency of the Triton ensemble, beside the design that a user has today.

    python -m benchmarks.serving.throughput --texts data/test.txt --output_file results.json

Three take turns on the same texts: the ensemble as `serving.publish` writes it, the baseline of
`benchmarks.serving.origin_design`, and the offline predictor with the ensemble's bundle. Both servers stay up; who is
not measured has nothing to do, and its processor time is watched. What counts are the ratios within a round. In each
round the speed of the machine's matrix products is measured too: it limits how many texts any design could answer.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.compute.matrix_products import MatrixProducts, count_work
from benchmarks.records import environment, write_record
from benchmarks.serving.pair import add_pair_options, check_pair_options, serve_pair, shuffled_texts
from benchmarks.serving.turns import Contestants, report, summarise
from pipeline.command import run
from pipeline.compute.runtimes.openvino_runtime import ELEMENT_TYPES
from pipeline.errors import InputError


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add_pair_options(parser)
    add = parser.add_argument
    add("--concurrency", type=int, nargs="+", default=[1, 32], help="requests under way at once (1 32)")
    add("--rounds", type=int, default=5, help="in which all take a turn at each concurrency (%(default)s)")
    add("--seconds", type=float, default=8.0, help="that a turn should take at least (%(default)s)")
    add("--budget_seconds", type=float, default=3600.0, help="fewer rounds where they take longer (%(default)s)")
    add("--output_file", type=Path, help="where the results are written as JSON")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    width = check_pair_options(args)
    check_turns(args)
    texts = shuffled_texts(args.texts)
    about = environment()
    with tempfile.TemporaryDirectory(prefix="triton-throughput-") as folder, ExitStack() as stack:
        pair = stack.enter_context(serve_pair(args, width, texts, Path(folder)))
        described = pair.about(args)
        flop_per_text, limit = count_work(pair.bundle).flop(described["tokens per text"]), None
        if pair.precision in ELEMENT_TYPES:
            products = stack.enter_context(MatrixProducts(pair.precision, args.threads or None))
            limit = lambda: products.flop_per_second() / flop_per_text  # noqa: E731
        contestants = Contestants(pair.servers, pair.predictor, pair.texts, Path(folder), limit)
        rounds = contestants.measure(args.concurrency, args.rounds, args.seconds, args.budget_seconds)
    results = {
        "environment": about,
        **described,
        "GFLOP per text": round(flop_per_text / 1e9, 3),
        "summary": summarise(rounds),
        "rounds": rounds,
    }
    report(results)
    if args.output_file:
        write_record(args.output_file, results)
    medians = {name: figure["median"] for name, figure in results["summary"].items()}
    noisy = [name for name, figure in results["summary"].items() if figure["noisy"]]
    print(json.dumps({**medians, "pairs": len(rounds), "noisy": noisy}))


def check_turns(args: argparse.Namespace) -> None:
    """Raise InputError for turns that cannot be taken."""
    if args.rounds < 1:
        raise InputError(f"--rounds is {args.rounds}; give at least 1")
    if min(args.concurrency) < 1:
        raise InputError(f"--concurrency is {min(args.concurrency)}; give at least 1")
    if not 0 < args.seconds <= 300:
        raise InputError(f"--seconds is {args.seconds:g}; give more than 0 and at most 300")


if __name__ == "__main__":
    run(main)
