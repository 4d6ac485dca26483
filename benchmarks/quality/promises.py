"""What confidences and promises are worth on rows that chose nothing, over models and many partings of the rows.

    python -m benchmarks.quality.promises --dataset_dir data --output_file promises.json

For each seed the rows of train.txt and dev.txt are parted anew, and a model is trained. On test.txt are measured: its
calibration error, with and without its calibration; what a promise that was found on dev.txt comes to; and
how often one is kept that is found on one half of the rows and judged on the other, over a hundred partings.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.options import RecordOptions
from benchmarks.records import environment
from pipeline.command import run
from pipeline.errors import InputError
from pipeline.files.dataset import (
    DEV_FILE,
    LABEL_FILE,
    TEST_FILE,
    TRAIN_FILE,
    Example,
    read_examples,
    read_labels,
    write_examples,
    write_labels,
)
from pipeline.labels.decoding import sigmoid
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.options import option, parse
from training.checkpoint.classifier import Classifier, load_classifier
from training.confidence.calibration import SPOKEN, calibration_error
from training.confidence.kept import SPLITS, promise_figures
from training.confidence.promise import find_promises
from training.loop.options import TrainingRun
from training.train import train

BATCH = 32
OF_LEVEL = ("precision", "coverage", "kept", "kept_coverage", "best_coverage")


@dataclass(frozen=True)
class PromiseOptions(RecordOptions):
    """Which models are measured, on what."""

    dataset_dir: Path = option(help="folder with train.txt, dev.txt, test.txt and label.txt")
    params_path: Path | None = option(None, "a checkpoint to measure as it is, instead of training")
    model_name: str = option("linear", "what is trained, as train.py takes it")
    epochs: int = option(4, "passes over the training rows, of a model with an encoder", at_least=1)
    seeds: int = option(3, "models that are trained", at_least=1)
    promise: tuple[float, ...] = option((0.9, 0.95), "precisions that are promised", above=0, below=1)


def measure(options: PromiseOptions) -> dict[str, Any]:
    """The record; raises InputError for files as they are read."""
    source = options.dataset_dir
    hierarchy = read_labels(source / LABEL_FILE)
    test = list(read_examples(source / TEST_FILE, hierarchy))
    models = [_figures(model, dev, test, options) for model, dev in _models(options, hierarchy)]
    return {
        "environment": environment(),
        "dataset": source.resolve().name,
        "rows": len(test),
        "partings": SPLITS,
        "options": {name: value for name, value in asdict(options).items() if not isinstance(value, Path)},
        "models": models,
        "mean": _mean(models),
    }


def _models(options: PromiseOptions, hierarchy: LabelHierarchy) -> Iterator[tuple[Classifier, list[Example]]]:
    """Each model and the development rows that chose it."""
    train_rows, dev_rows = (
        list(read_examples(options.dataset_dir / name, hierarchy)) for name in (TRAIN_FILE, DEV_FILE)
    )
    if options.params_path:
        yield load_classifier(options.params_path, "auto", None, BATCH), dev_rows
        return
    rows = train_rows + dev_rows
    for seed in range(options.seeds):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            order = [rows[number] for number in np.random.default_rng(seed).permutation(len(rows))]
            parts = {TRAIN_FILE: order[: len(train_rows)], DEV_FILE: order[len(train_rows) :]}
            write_labels(folder / LABEL_FILE, hierarchy)
            for name, part in parts.items():
                write_examples(folder / name, part, hierarchy)
            choice = TrainingRun(
                dataset_dir=folder, save_dir=folder / "checkpoint", model_name=options.model_name, seed=seed
            )
            train(choice if options.model_name == "linear" else replace(choice, epochs=options.epochs))
            yield load_classifier(folder / "checkpoint", "auto", None, BATCH), parts[DEV_FILE]


def _figures(
    model: Classifier, dev: Sequence[Example], test: Sequence[Example], options: PromiseOptions
) -> dict[str, Any]:
    decoder, hierarchy = model.decoder, model.hierarchy
    logits, actual = _answered(model, test)
    decoded = decoder.decode(logits)
    scores = {"uncalibrated": sigmoid(logits), "calibrated": decoded.scores}
    errors = {
        name: {
            "all": round(calibration_error(each, actual), 5),
            f"from {SPOKEN}": round(calibration_error(each, actual, SPOKEN), 5),
        }
        for name, each in scores.items()
    }
    promises = []
    for precision in options.promise:
        try:
            promises += find_promises(decoder, *_answered(model, dev), [precision], DEV_FILE)
        except InputError as error:
            print(f"note: {error}")
    figures = promise_figures(hierarchy, promises, decoder.credited(decoded), actual)["promises"]
    return {"calibration_error": errors, "promises": {f"{each['precision']:g}": each["levels"] for each in figures}}


def _answered(model: Classifier, rows: Sequence[Example]) -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels, [rows, labels] each; rows of the dataset are numbered as the model's labels, or its own."""
    return model.logits([row.text for row in rows]), model.hierarchy.matrix([row.labels for row in rows])


def _mean(models: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of all models; of a promise, of those that could make it."""
    names = sorted({name for model in models for name in model["promises"]})
    errors = {
        kind: {
            part: round(float(np.mean([model["calibration_error"][kind][part] for model in models])), 5) for part in of
        }
        for kind, of in models[0]["calibration_error"].items()
    }
    promises = {}
    for name in names:
        made = [model["promises"][name] for model in models if name in model["promises"]]
        promises[name] = [
            {field: _mean_of([level[field] for level in levels]) for field in OF_LEVEL} for levels in zip(*made)
        ]
    return {"calibration_error": errors, "promises": promises}


def _mean_of(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(float(np.mean(known)), 4) if known else None


def parse_args(argv: Sequence[str] | None) -> PromiseOptions:
    return parse(PromiseOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    record = measure(options)
    options.write(record)
    print(json.dumps(record["mean"]))


if __name__ == "__main__":
    run(main)
