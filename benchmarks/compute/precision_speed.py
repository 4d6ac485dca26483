"""Speed and size of each runtime and precision on an encoder of ERNIE-3.0-medium's shape, with random weights.

python -m benchmarks.compute.precision_speed --output_file results.json

The graph as paddle2onnx leaves it is measured beside the cleaned one. Every engine has a process of its own, all
compute the same batch in turn, and what counts is the median of the ratios to onnxruntime in float32.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.compute.random_model import LENGTH, SHAPES, VOCABULARY_SIZE, create_bundle, with_raw_graph
from benchmarks.options import RecordOptions, RoundsOptions
from benchmarks.records import environment
from pipeline.command import run
from pipeline.compute.batching import TOKEN_BUDGET
from pipeline.compute.runtimes import PRECISIONS, RUNTIMES, graph_files, unavailable
from pipeline.options import option, parse
from training.gate.worker import Worker

ROWS = 32
RAW = "raw paddle2onnx float32"
REFERENCE = "onnxruntime float32"


@dataclass(frozen=True)
class PrecisionSpeedOptions(RoundsOptions, RecordOptions):
    """Which shape is measured."""

    shape: str = option("scratch-medium", "shape of the model", choices=tuple(SHAPES))
    rounds: int = option(9, "rounds in which all take a turn", at_least=1)
    threads: int = option(0, "processor threads of each engine, 0: one per core", at_least=0)


def measure(options: PrecisionSpeedOptions) -> dict[str, Any]:
    """The record: speed, memory and size of each engine that this machine has."""
    about = environment()
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        clean = create_bundle(options.shape, Path(place) / "clean", precisions=("float16", "int8"))
        raw = with_raw_graph(clean, Path(place) / "raw")
        engines = {RAW: (raw, "onnxruntime", "float32")}
        for runtime in RUNTIMES:
            for precision in PRECISIONS:
                if not unavailable(runtime, precision):
                    engines[f"{runtime} {precision}"] = (clean, runtime, precision)
        workers = {
            name: stack.enter_context(Worker(bundle.path, runtime, precision, options.threads or None))
            for name, (bundle, runtime, precision) in engines.items()
        }
        results = take_turns(workers, options.rounds)
        for name, (bundle, runtime, precision) in engines.items():
            files = [bundle.file(file) for file in graph_files(bundle, runtime, precision)]
            results[name]["graph MB"] = round(sum(file.stat().st_size for file in files) / 1e6, 1)
    return {"environment": about, "engines": results}


def take_turns(workers: dict[str, Worker], rounds: int) -> dict[str, dict[str, Any]]:
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


def parse_args(argv: Sequence[str] | None) -> PrecisionSpeedOptions:
    return parse(PrecisionSpeedOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    results = measure(options)
    options.write(results)
    for name, result in results["engines"].items():
        print(f"{name:26}", "  ".join(f"{key} {value}" for key, value in result.items()))


if __name__ == "__main__":
    run(main)
