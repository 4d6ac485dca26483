"""Speed and size of each runtime and precision on an encoder of ERNIE-3.0-medium's shape, with random weights.

python -m benchmarks.precision_speed --output_file results.json

The graph as paddle2onnx leaves it is measured beside the cleaned one. Every engine has a process of its own, all
compute the same batch in turn, and what counts is the median of the ratios to onnxruntime in float32.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.batching import TOKEN_BUDGET
from pipeline.bundle import ONNX_FILE, VOCABULARY_FILE, Bundle, Manifest, seal
from pipeline.command import run
from pipeline.decoding import DecodingPolicy
from pipeline.graph_precision import ONNX_FILES, derived_graph
from pipeline.runtimes import PRECISIONS, RUNTIMES, graph_files, unavailable
from pipeline.tokenisation import TokeniserSettings
from training.gate.worker import Worker

VOCABULARY_SIZE, LABELS, LENGTH, ROWS = 40_000, 75, 128, 32
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
        clean, raw = create_bundles(args.shape, Path(place))
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
            files = [bundle.file(file) for file in graph_files(runtime, precision)]
            results[name]["graph MB"] = round(sum(file.stat().st_size for file in files) / 1e6, 1)
    for name, result in results.items():
        print(f"{name:26}", "  ".join(f"{key} {value}" for key, value in result.items()))
    if args.output_file:
        args.output_file.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def create_bundles(shape: str, place: Path) -> tuple[Bundle, Bundle]:
    """The encoder as a bundle with a graph for each precision, and as one with the graph that paddle2onnx wrote."""
    from paddlenlp.transformers import ErnieForSequenceClassification

    from training.model.encoders import scratch_config
    from training.model.model_names import SCRATCH
    from training.model.static_graph import export_onnx, export_static, raw_onnx

    clean, raw = place / "clean", place / "raw"
    clean.mkdir()
    export_static(
        ErnieForSequenceClassification(scratch_config(SCRATCH[shape], VOCABULARY_SIZE, LABELS, LENGTH)), clean
    )
    words = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]", *(f"w{number}" for number in range(VOCABULARY_SIZE - 5))]
    (clean / VOCABULARY_FILE).write_text("\n".join(words) + "\n", encoding="utf-8")
    shutil.copytree(clean, raw)
    (raw / ONNX_FILE).write_bytes(raw_onnx(clean))
    export_onnx(clean, clean / ONNX_FILE)
    for precision in ("float16", "int8"):
        (clean / ONNX_FILES[precision]).write_bytes(derived_graph(clean / ONNX_FILE, precision))
    manifest = Manifest(
        labels=tuple(map(str, range(LABELS))),
        thresholds=(0.5,) * LABELS,
        decoding=DecodingPolicy(),
        vocabulary_size=VOCABULARY_SIZE,
        max_seq_length=LENGTH,
        normalisation="none",
        tokeniser=TokeniserSettings("ernie"),
    )
    return seal(clean, manifest), seal(raw, manifest)


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
