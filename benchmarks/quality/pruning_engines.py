"""The two engines of `training/prune.py` on one checkpoint: F1 and time.

    python -m benchmarks.quality.pruning_engines --dataset_dir data --params_dir checkpoint --output_file engines.json

Both get the same rows and options and take turns, each in a process of its own. What is timed is `prune`: the student
is taught, measured on dev after each epoch, and exported. On a machine that has other things to do, believe the
processor's seconds rather than the clock's. test.txt is read once, at the end.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.options import RecordOptions
from benchmarks.records import environment
from pipeline.command import run
from pipeline.files.dataset import DEV_FILE, TEST_FILE, read_examples
from pipeline.metrics.sets import Metrics
from pipeline.options import option, parse
from training.checkpoint.classifier import load_classifier
from training.prune import prune
from training.pruning.options import ENGINES, PruningRun

BATCH = 32
TIMES = ("seconds", "processor seconds")
F1 = ("micro_f1", "macro_f1")


@dataclass(frozen=True)
class ComparisonOptions(RecordOptions):
    """What is pruned, on what, and how."""

    dataset_dir: Path = option(help="folder with train.txt, dev.txt, test.txt and label.txt")
    params_dir: Path = option("./checkpoint/", "the checkpoint to prune")
    width_mult: str = option("1/2", "share of heads and neurons to keep")
    num_train_epochs: int = option(2, "passes over the training rows", at_least=1)
    learning_rate: float = option(5e-4, "peak learning rate", above=0)
    max_seq_length: int = option(64, "tokens per text", at_least=3)
    seeds: tuple[int, ...] = option((3,), "random seeds, of a round each in which both take a turn", at_least=0)


def compare(options: ComparisonOptions) -> dict[str, Any]:
    """What each engine takes and reaches in each round, and what the checkpoint reaches: the record."""
    record: dict[str, Any] = {
        "environment": environment(),
        "options": {name: value for name, value in asdict(options).items() if not isinstance(value, Path)},
        "dataset": options.dataset_dir.resolve().name,
        "rounds": [],
    }
    with tempfile.TemporaryDirectory() as place:
        folders = []
        for seed in options.seeds:
            for engine in ENGINES:
                folder = Path(place) / f"{engine}-{seed}"
                context = multiprocessing.get_context("spawn")
                with ProcessPoolExecutor(1, mp_context=context) as pool:  # a process that has nothing warm yet
                    found, bundle = pool.submit(_measured, options, engine, seed, folder).result()
                print(f"{engine}, seed {seed}: {json.dumps(found)}", flush=True)
                record["rounds"].append({"engine": engine, "seed": seed, **found})
                folders.append(bundle)
        for entry, folder in zip(record["rounds"], folders):
            entry["test"] = scores(folder, options, TEST_FILE)
    files = {"dev": DEV_FILE, "test": TEST_FILE}
    record["checkpoint"] = {name: scores(options.params_dir, options, file) for name, file in files.items()}
    record["means"] = {engine: means(record["rounds"], engine) for engine in ENGINES}
    return record


def means(rounds: Sequence[dict[str, Any]], engine: str) -> dict[str, float]:
    """Of an engine's rounds."""
    own = [entry for entry in rounds if entry["engine"] == engine]
    figures = {name: [entry[name] for entry in own] for name in TIMES}
    figures |= {f"{file} {name}": [entry[file][name] for entry in own] for file in ("dev", "test") for name in F1}
    return {name: round(statistics.fmean(values), 2) for name, values in figures.items()}


def _measured(options: ComparisonOptions, engine: str, seed: int, folder: Path) -> tuple[dict[str, Any], Path]:
    """Seconds of pruning by an engine, and the dev scores and the folder of what it made."""
    for module in ("run", "paddleslim_engine"):  # importing paddle is no part of the time
        importlib.import_module(f"training.pruning.{module}")
    run_options = PruningRun(
        dataset_dir=options.dataset_dir,
        params_dir=options.params_dir,
        output_dir=folder,
        engine=engine,
        width_mult=(options.width_mult,),
        num_train_epochs=options.num_train_epochs,
        learning_rate=options.learning_rate,
        max_seq_length=options.max_seq_length,
        per_device_train_batch_size=BATCH,
        device="cpu",
        seed=seed,
    )
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    (bundle,) = prune(run_options)
    seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF)
    processor = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return {
        **dict(zip(TIMES, (round(seconds, 1), round(processor, 1)))),
        "dev": in_percent(bundle.manifest.metrics["dev"]),
    }, bundle.path


def scores(folder: Path, options: ComparisonOptions, name: str) -> dict[str, float]:
    """Of a checkpoint or a bundle on a file of the dataset."""
    classifier = load_classifier(folder, "cpu", options.max_seq_length, BATCH)
    examples = list(read_examples(options.dataset_dir / name, classifier.hierarchy))
    metrics = Metrics(classifier.hierarchy)
    selected = classifier.decoder.decode(classifier.logits([example.text for example in examples])).selected
    metrics.update(classifier.hierarchy.matrix([example.labels for example in examples]), selected)
    return in_percent(metrics.result())


def in_percent(result: dict[str, Any]) -> dict[str, float]:
    return {name: round(100 * result[name], 2) for name in F1}


def parse_args(argv: Sequence[str] | None) -> ComparisonOptions:
    return parse(ComparisonOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    record = compare(options)
    options.write(record)
    print(json.dumps(record["means"]))


if __name__ == "__main__":
    run(main)
