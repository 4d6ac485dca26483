"""How close the offline predictor, and training, come to what the machine's matrix products permit.

    python -m benchmarks.compute.limit --texts data/test.txt --output_file limit.json

The limit is the measured speed of a chain of large products in the same precision. The share of it counts the products
of the tokens with the encoder's matrices, 2 x parameters each (see `benchmarks.compute.matrix_products.Work`), for
tokens that are no padding; a training step counts three times that, forward, and backward to inputs and to parameters.
Whatever else is computed, attention among it, counts nothing and takes its time. All take turns.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import numpy as np

from benchmarks.compute.in_process import InProcess
from benchmarks.compute.matrix_products import CHAIN, ROWS, WIDTH, MatrixProducts, count_work, encoder_work
from benchmarks.compute.operation_times import operation_times
from benchmarks.compute.step_engines import LENGTHS, OURS
from benchmarks.compute.step_engines import ROWS as STEP_ROWS
from benchmarks.compute.training_step import WARM_UP_STEPS, make_batch, step_process, step_seconds
from benchmarks.options import BundleOptions, RecordOptions, RoundsOptions, TextsOptions
from benchmarks.records import environment
from benchmarks.rounds import PAUSE_SECONDS, spread
from pipeline.command import run
from pipeline.compute.runtimes import unavailable
from pipeline.options import option, parse

ENGINES = (("openvino", "bfloat16"), ("openvino", "float32"), ("onnxruntime", "float32"))
MINILM = Path("build/minilm")
TRAINING = "training"
FORMULA = (
    "FLOP of a token: 2 x parameters of the encoder's matrices; the last layer beyond keys and values once per text; "
    "training: 3 x that; share: FLOP of tokens that are no padding per second / limit"
)


@dataclass(frozen=True)
class LimitOptions(TextsOptions, BundleOptions, RoundsOptions, RecordOptions):
    """What is held against the limit."""

    texts_per_pass: int = option(128, "texts drawn from the file", at_least=1)
    model_dir: Path = option(MINILM, "folder of a BERT model to train; without it training is skipped")


Turn = Callable[[], float]
"""Takes a turn and says at how many FLOP per second, padding not counted."""


def predicting(predictor: InProcess, texts: Sequence[str], flop_per_text: float) -> Turn:
    """The predictor gets all texts in one call, as often as fits in a second or so."""
    predictor.seconds(texts, len(texts))
    calls = max(1, round(1 / sum(predictor.seconds(texts, len(texts)))))

    def turn() -> float:
        seconds = [second for _ in range(calls) for second in predictor.seconds(texts, len(texts))]
        return flop_per_text * len(texts) / statistics.median(seconds)

    return turn


def training(model_dir: Path, folder: Path, stack: ExitStack) -> Turn:
    """Steps of `benchmarks.compute.training_step` on batches without padding."""
    config: dict[str, Any] = json.loads((model_dir / "config.json").read_text(encoding="utf-8"))
    work = encoder_work(*(int(config[key]) for key in ("hidden_size", "num_hidden_layers", "intermediate_size")))
    np.savez(folder / "batch.npz", **make_batch(model_dir))
    process = stack.enter_context(step_process(OURS, sys.executable, model_dir, folder / "batch.npz"))
    length = max(LENGTHS)
    step_seconds(process, length, WARM_UP_STEPS)
    return lambda: 3 * STEP_ROWS * work.flop(length) / statistics.median(step_seconds(process, length, 5))


def take_turns(
    products: Mapping[str, MatrixProducts], turns: Mapping[str, tuple[str, Turn]], rounds: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """FLOP per second of the products by precision, and of all others by name, one of each per round."""
    limits: dict[str, list[float]] = {name: [] for name in products}
    rates: dict[str, list[float]] = {name: [] for name in turns}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        for name, product in products.items():
            time.sleep(PAUSE_SECONDS)
            limits[name].append(product.flop_per_second())
        for name, (_, turn) in turns.items():
            time.sleep(PAUSE_SECONDS)
            rates[name].append(turn())
    return limits, rates


def measure(options: LimitOptions) -> dict[str, Any]:
    """The record of all rounds.

    Raises:
        InputError: the texts or the bundle cannot be used.
    """
    texts = options.shuffled()
    about = environment()
    with tempfile.TemporaryDirectory(prefix="limit-") as folder, ExitStack() as stack:
        bundle = options.open(Path(folder), texts)
        texts = texts[: options.texts_per_pass]
        engines = [engine for engine in ENGINES if not unavailable(*engine)]
        precisions = dict.fromkeys(precision for _, precision in engines)
        products = {precision: stack.enter_context(MatrixProducts(precision)) for precision in precisions}
        lengths = [len(row) for row in bundle.encoder().encode(texts)]
        work, tokens = count_work(bundle), sum(lengths) / len(lengths)
        turns: dict[str, tuple[str, Turn]] = {}
        for runtime, precision in engines:
            predictor = stack.enter_context(InProcess(bundle.path, runtime, precision, None))
            turns[f"{runtime} {precision}"] = (precision, predicting(predictor, texts, work.flop(tokens)))
        if (options.model_dir / "config.json").is_file():
            turns[TRAINING] = ("float32", training(options.model_dir, Path(folder), stack))
        else:
            print(f"training is skipped: {options.model_dir} has no config.json (make minilm)", file=sys.stderr)
        limits, rates = take_turns(products, turns, options.rounds)
        operations = {
            precision: operation_times(bundle, precision, texts)
            for runtime, precision in engines
            if runtime == "openvino"
        }
    return {
        "environment": about,
        "model": bundle.manifest.model_name,
        "texts": options.source,
        "tokens per text": round(tokens, 1),
        "products": f"{CHAIN} of {ROWS} x {WIDTH} by {WIDTH} x {WIDTH}",
        "formula": FORMULA,
        "encoder parameters": work.parameters,
        "FLOP per token": work.per_token,
        "FLOP per text beside": work.per_text,
        "limit GFLOP/s": {name: spread([value / 1e9 for value in values]) for name, values in limits.items()},
        "share of limit": {
            name: spread([rate / limit for rate, limit in zip(values, limits[turns[name][0]])])
            for name, values in rates.items()
        },
        "share of openvino's time": operations,
    }


def report(results: Mapping[str, Any]) -> None:
    """Print the tables."""
    for precision, shares in results["share of openvino's time"].items():
        print(f"openvino {precision}: {', '.join(f'{kind} {share:.1%}' for kind, share in shares.items())}")
    for part in ("limit GFLOP/s", "share of limit"):
        for name, figure in results[part].items():
            print(f"{part:16} {name:22} {figure['median']:9.3f} ({figure['lowest']:.3f} to {figure['highest']:.3f})")


def parse_args(argv: Sequence[str] | None) -> LimitOptions:
    return parse(LimitOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    results = measure(options)
    options.write(results)
    report(results)
    print(json.dumps({name: figure["median"] for name, figure in results["share of limit"].items()}))


if __name__ == "__main__":
    run(main)
