"""Speed and size of each runtime and precision on an encoder of ERNIE-3.0-medium's shape, with random weights.

python -m benchmarks.compute.precision_speed --output_file results.json

The graph as paddle2onnx leaves it is measured beside the cleaned one. Every engine has a process of its own, all
compute the same batch in turn, and what counts is the median of the ratios to onnxruntime in float32.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.compute.random_model import LENGTH, VOCABULARY_SIZE, create_bundle, with_raw_graph
from pipeline.command import run
from pipeline.compute.batching import TOKEN_BUDGET
from pipeline.compute.runtimes import PRECISIONS, RUNTIMES, graph_files, unavailable
from training.gate.worker import Worker

ROWS = 32
RAW = "raw paddle2onnx float32"
REFERENCE = "onnxruntime float32"


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--shape", default="scratch-medium", help="a scratch model's name (%(default)s)")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--num_threads", type=int, help="processor threads (one per core)")
    parser.add_argument("--output_file", type=Path, help="where the results are written as JSON")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        clean = create_bundle(args.shape, Path(place) / "clean", precisions=("float16", "int8"))
        raw = with_raw_graph(clean, Path(place) / "raw")
        engines = {RAW: (raw, "onnxruntime", "float32")}
        for runtime in RUNTIMES:
            for precision in PRECISIONS:
                if not unavailable(runtime, precision):
                    engines[f"{runtime} {precision}"] = (clean, runtime, precision)
        workers = {
            name: stack.enter_context(Worker(bundle.path, runtime, precision, args.num_threads))
            for name, (bundle, runtime, precision) in engines.items()
        }
        results = measure(workers, args.rounds)
        for name, (bundle, runtime, precision) in engines.items():
            files = [bundle.file(file) for file in graph_files(bundle, runtime, precision)]
            results[name]["graph MB"] = round(sum(file.stat().st_size for file in files) / 1e6, 1)
    for name, result in results.items():
        print(f"{name:26}", "  ".join(f"{key} {value}" for key, value in result.items()))
    if args.output_file:
        args.output_file.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def measure(workers: dict[str, Worker], rounds: int) -> dict[str, dict[str, Any]]:
    """Milliseconds of a batch of full length and of a single row, and their median ratios to REFERENCE.

    "As served" is the same batch cut by the token budget, as servers and the offline predictor do.
    """
    rows = list(np.random.default_rng(3).integers(5, VOCABULARY_SIZE, (ROWS, LENGTH)))
    inputs = {
        f"{ROWS} x {LENGTH}": ([rows], ROWS * LENGTH),
        f"{ROWS} x {LENGTH} as served": ([rows], TOKEN_BUDGET),
        f"1 x {LENGTH}": ([[row] for row in rows[:4]], TOKEN_BUDGET),
    }
    expected = workers[REFERENCE].logits(rows)
    results: dict[str, dict[str, Any]] = {}
    for name, worker in workers.items():
        difference = float(np.abs(worker.logits(rows) - expected).max())
        results[name] = {"logits differ by": f"{difference:.1e}", "resident MB": worker.resident_bytes() // 1_000_000}
    for shape, (batches, token_budget) in inputs.items():
        seconds: dict[str, list[float]] = {name: [] for name in workers}
        for _ in range(rounds):
            for name, worker in workers.items():
                seconds[name].append(worker.seconds(batches, token_budget) / len(batches))
        for name, values in seconds.items():
            ratios = [value / reference for value, reference in zip(values, seconds[REFERENCE])]
            results[name][f"ms {shape}"] = round(1000 * statistics.median(values), 1)
            results[name][f"ratio {shape}"] = round(statistics.median(ratios), 3)
    return results


if __name__ == "__main__":
    run(main)
