"""Quality against latency: the tables of the original documentation, with what was measured here beside them.

    python -m benchmarks.quality.frontier --texts data/test.txt --output_file frontier.json

Gathered are the records of the release gate, `results/release_*.json`, which trained and pruned models have gone
through. Measured are the six published shapes with random weights, for latency alone: what such a model costs does not
depend on what it has learnt. The published figures stand beside them; they are of another machine, with a GPU.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.compute.matrix_products import count_work
from benchmarks.compute.random_model import ERNIE, made_bundle
from benchmarks.options import RecordOptions, RoundsOptions, TextsOptions
from benchmarks.quality.linear_baseline import fit_baseline
from benchmarks.records import RESULTS, environment, read_record
from pipeline.command import run
from pipeline.compute.runtimes import unavailable
from pipeline.files.dataset import DEV_FILE, LABEL_FILE, TEST_FILE, read_examples, read_labels
from pipeline.options import option, parse
from training.gate.worker import Worker

BATCH = 32
ENGINES = (("onnxruntime", "float32"), ("openvino", "bfloat16"))
PUBLISHED_MODELS = {
    "ernie-3.0-xbase": (95.12, 92.77, 12.51),
    "ernie-3.0-base": (95.68, 93.39, 4.63),
    "ernie-3.0-medium": (95.26, 93.22, 2.42),
    "ernie-3.0-mini": (94.72, 93.03, 0.93),
    "ernie-3.0-micro": (94.24, 93.08, 0.70),
    "ernie-3.0-nano": (93.98, 91.25, 0.54),
}
PUBLISHED_WIDTHS = {
    "1": (95.27, 93.22, 4.16),
    "3/4": (95.45, 93.40, 0.81),
    "2/3": (95.23, 93.27, 0.74),
    "1/2": (94.92, 92.70, 0.61),
}
"""Micro F1 and macro F1 in %, ms per text in batches of 32 on a GPU, as the original documentation publishes them."""


@dataclass(frozen=True)
class FrontierOptions(TextsOptions, RoundsOptions, RecordOptions):
    """What is gathered and measured."""

    shapes: tuple[str, ...] = option(
        tuple(ERNIE), "shapes whose latency is measured", choices=tuple(ERNIE), may_be_empty=True
    )
    linear: tuple[Path, ...] = option((), "dataset folders that the linear baseline is trained on")
    releases: Path | None = option(None, "folder with release_*.json (benchmarks/results)")


def measure(options: FrontierOptions) -> dict[str, Any]:
    """The record.

    Raises:
        InputError: the texts, a dataset folder or a record of the gate cannot be used.
    """
    about = environment()
    texts = options.shuffled()[: 2 * BATCH]
    releases = sorted((options.releases or RESULTS).glob("release_*.json"))
    return {
        "environment": about,
        "texts": options.source,
        "batch": BATCH,
        "gate": {path.stem[len("release_") :]: widths(path) for path in releases},
        "linear": {folder.resolve().name: linear(folder) for folder in options.linear},
        "shapes": {shape: latency(shape, texts, options.rounds) for shape in options.shapes},
        "published": {"models": PUBLISHED_MODELS, "widths": PUBLISHED_WIDTHS},
    }


def widths(path: Path) -> list[dict[str, Any]]:
    """What the gate measured of each bundle in ENGINES: F1 in %, ms per text in batches of BATCH."""
    record = read_record(path)
    found = []
    for candidate in record["candidates"]:
        if (candidate["runtime"], candidate["precision"]) in ENGINES and candidate["quality"] and candidate["cost"]:
            found.append(
                {
                    "width": candidate["width"],
                    "runtime": candidate["runtime"],
                    "precision": candidate["precision"],
                    "micro_f1": round(100 * candidate["quality"]["micro_f1"], 2),
                    "macro_f1": round(100 * candidate["quality"]["macro_f1"], 2),
                    "ms per text": round(candidate["cost"][f"milliseconds_{BATCH}"], 3),
                }
            )
    return found


def linear(folder: Path) -> dict[str, Any]:
    """F1 in % of TF-IDF and a linear SVM on dev, which its margin is tuned on, and on test; its ms per text."""
    print(f"training the linear baseline on {folder}", file=sys.stderr)
    hierarchy = read_labels(folder / LABEL_FILE)
    baseline = fit_baseline(folder, hierarchy)
    found: dict[str, Any] = {}
    for name in (DEV_FILE, TEST_FILE):
        examples = list(read_examples(folder / name, hierarchy))
        started = time.perf_counter()
        scores = baseline.score(examples)
        milliseconds = 1000 * (time.perf_counter() - started) / len(examples)
        found[Path(name).stem] = {key: round(100 * scores[key], 2) for key in ("micro_f1", "macro_f1")}
        found["ms per text"] = round(milliseconds, 3)
    return found


def latency(shape: str, texts: Sequence[str], rounds: int) -> dict[str, Any]:
    """Of a shape with random weights in each engine: median ms per text in batches of BATCH real texts."""
    print(f"measuring {shape}", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="frontier-") as place:
        bundle = made_bundle(shape, Path(place) / "bundle", texts)
        rows = bundle.encoder().encode(texts)
        batches = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
        with ExitStack() as stack:
            workers = {
                " ".join(engine): stack.enter_context(Worker(bundle.path, *engine, None))
                for engine in ENGINES
                if not unavailable(*engine)
            }
            milliseconds: dict[str, list[float]] = {name: [] for name in workers}
            for worker in workers.values():
                worker.seconds(batches)
            for _ in range(rounds):
                for name, worker in workers.items():
                    milliseconds[name].append(1000 * worker.seconds(batches) / len(rows))
        return {
            "million parameters of matrices": round(count_work(bundle).parameters / 1e6, 1),
            "ms per text": {name: round(statistics.median(values), 3) for name, values in milliseconds.items()},
        }


def parse_args(argv: Sequence[str] | None) -> FrontierOptions:
    return parse(FrontierOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    results = measure(options)
    options.write(results)
    for shape, found in results["shapes"].items():
        print(shape, "  ".join(f"{name} {value}" for name, value in found.items()))
    print(json.dumps({shape: found["ms per text"] for shape, found in results["shapes"].items()}))


if __name__ == "__main__":
    run(main)
