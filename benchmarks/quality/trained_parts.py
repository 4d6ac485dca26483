"""What a trained encoder, its linear part, and both reach on rows that nothing was chosen on, over several seeds.

    python -m benchmarks.quality.trained_parts --dataset_dir data --model_name build/e5 --output_file parts.json

Epochs, learning rates and the like are what `train.py --recipe auto` chooses; thresholds are tuned on dev.txt, for
each part by itself. A seed that the output file holds already is not trained again.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.options import RecordOptions
from benchmarks.records import environment
from pipeline.command import run
from pipeline.files.dataset import DEV_FILE, TEST_FILE
from pipeline.labels.decoding import Decoder
from pipeline.metrics.sets import Metrics
from pipeline.metrics.threshold_tuning import tune
from pipeline.options import option, parse
from training.linear.joining import BOTH, ENCODER, LINEAR

THRESHOLDS = "global"
SCORES = ("micro_f1", "macro_f1")


@dataclass(frozen=True)
class PartsOptions(RecordOptions):
    """What is trained, and how often."""

    dataset_dir: Path = option(help="folder with train.txt, dev.txt, test.txt and label.txt")
    model_name: str = option("build/e5", "encoder, as train.py takes it")
    seeds: tuple[int, ...] = option((1, 2, 3), "random seed of each run")
    file: str = option(TEST_FILE, "file of the dataset folder that is measured on")
    max_seq_length: int | None = option(None, "tokens that the model takes at once, as train.py takes it", at_least=8)


def measure(options: PartsOptions) -> dict[str, Any]:
    """The record, written after each seed; raises as training does."""
    record: dict[str, Any] = {
        "environment": environment(),
        "dataset": options.dataset_dir.resolve().name,
        "model": Path(options.model_name).name,
        "max_seq_length": options.max_seq_length,
        "seeds": {},
    }
    if options.output_file and options.output_file.exists():
        record["seeds"] = json.loads(options.output_file.read_text("utf-8"))["seeds"]
    for seed in options.seeds:
        if str(seed) not in record["seeds"]:
            record["seeds"][str(seed)] = _one_seed(options, seed)
            options.write({**record, "mean": mean(record["seeds"])})
        print(f"seed {seed}: {_in_words(record['seeds'][str(seed)])}", flush=True)
    return {**record, "mean": mean(record["seeds"])}


def _one_seed(options: PartsOptions, seed: int) -> dict[str, Any]:
    from training.loop.options import TrainingRun
    from training.train import train

    with tempfile.TemporaryDirectory() as folder:
        given: dict[str, Any] = {"max_seq_length": options.max_seq_length} if options.max_seq_length else {}
        choice = TrainingRun(
            dataset_dir=options.dataset_dir,
            model_name=options.model_name,
            save_dir=Path(folder) / "checkpoint",
            thresholds=THRESHOLDS,
            seed=seed,
            **given,
        )
        started = time.monotonic()
        checkpoint = train(choice)
        seconds = round(time.monotonic() - started)
        return {"seconds": seconds, **_parts(checkpoint, options)}


def _parts(checkpoint: Any, options: PartsOptions) -> dict[str, Any]:
    """Scores by part; of the linear part, and of both, where there is one."""
    from training.data.encoded import read_encoded
    from training.linear.completion import encoder_logits

    hierarchy, encoder = checkpoint.hierarchy, checkpoint.encoder()
    dev, asked = (read_encoded(options.dataset_dir / name, hierarchy, encoder) for name in (DEV_FILE, options.file))
    own = [encoder_logits(checkpoint, each) for each in (dev, asked)]

    def scores(decoder: Decoder, logits: np.ndarray) -> dict[str, float]:
        metrics = Metrics(hierarchy)
        metrics.update(asked.labels, decoder.decode(logits).selected)
        return {name: round(metrics.result()[name], 4) for name in SCORES}

    found = {ENCODER: scores(tune(hierarchy, own[0], dev.labels, THRESHOLDS), own[1])}
    if checkpoint.record.encoder_weight is not None:
        linear = [encoder.encode_checked(each.texts).linear for each in (dev, asked)]
        found[LINEAR] = scores(tune(hierarchy, linear[0], dev.labels, THRESHOLDS), linear[1])
        found[BOTH] = scores(checkpoint.decoder(), checkpoint.combine(own[1], linear[1]))
    return found


def mean(seeds: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """By part, the mean of what all seeds that have it reach."""
    parts = [part for part in (ENCODER, LINEAR, BOTH) if any(part in each for each in seeds.values())]
    return {
        part: {
            name: round(float(np.mean([each[part][name] for each in seeds.values() if part in each])), 4)
            for name in SCORES
        }
        for part in parts
    }


def _in_words(found: dict[str, Any]) -> str:
    parts = [part for part in (ENCODER, LINEAR, BOTH) if part in found]
    return ", ".join(f"{part} {' / '.join(f'{found[part][name]:.4f}' for name in SCORES)}" for part in parts)


def parse_args(argv: Sequence[str] | None) -> PartsOptions:
    return parse(PartsOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    record = measure(parse_args(argv))
    print(f"mean of {len(record['seeds'])} seeds, {record['dataset']}: {_in_words(record['mean'])}")


if __name__ == "__main__":
    run(main)
