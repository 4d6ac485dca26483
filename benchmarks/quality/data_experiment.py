"""One experiment on training data: rows drawn by a seed, variants of them trained in two ways and measured."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import numpy as np

from benchmarks.quality.linear_baseline import LinearBaseline
from pipeline.errors import ClassifierError
from pipeline.files.dataset import (
    DATA_FILE,
    DEV_FILE,
    LABEL_FILE,
    TRAIN_FILE,
    Example,
    evaluation_file,
    read_examples,
    read_labels,
    write_examples,
    write_labels,
)
from pipeline.options import Options, option
from training.loop.options import LOSSES
from training.options import DEVICES

LINEAR = "linear"
ROWS = {"dirty": 2000, "sparse": 700, "augment": 2000}
"""The experiments, and how many training rows each begins with."""


@dataclass(frozen=True)
class ExperimentOptions(Options):
    """Which experiment, on which rows, and how models are trained in it."""

    experiment: str = option(help="experiment that is made", choices=tuple(ROWS), positional=True)
    dataset_dir: Path = option(help="dataset folder with a few thousand training rows")
    output_file: Path = option(help="JSON file of all that is measured; what it has is not measured again")
    work_dir: Path = option("build/better_data", "folder for datasets and checkpoints")
    seeds: tuple[int, ...] = option((1, 2, 3), "random seeds, of one run each")
    rows: int | None = option(None, "training rows (700 for sparse, 2000 for the others)", at_least=1)
    model_name: str = option("scratch-tiny", "model, as train.py takes it")
    device: str = option("cpu", "what to compute on", choices=DEVICES)
    learning_rate: float = option(1e-3, "peak of the learning rate", above=0)
    trained: tuple[str, ...] = option((), "variants that train.py trains beside the linear baseline (all)")
    max_seq_length: int = option(128, "tokens per text", at_least=3)
    loss: str = option("zlpr", "loss, as train.py takes it", choices=LOSSES)
    epochs: int = option(10, "epochs of each training", at_least=1)
    short_epochs: int = option(3, "epochs of the training whose representer points are taken", at_least=1)

    @property
    def train_rows(self) -> int:
        """Training rows to begin with."""
        return self.rows or ROWS[self.experiment]

    def described(self) -> dict[str, Any]:
        """What two runs must have in common to be compared."""
        return {
            "experiment": self.experiment,
            "dataset_dir": self.dataset_dir.name,
            "rows": self.train_rows,
            **{name: getattr(self, name) for name in ("model_name", "device", "learning_rate", "max_seq_length")},
            **{name: getattr(self, name) for name in ("loss", "epochs", "short_epochs")},
        }


class Experiment:
    """One experiment with one seed: a folder of its own, and what was measured in it so far.

    Args:
        options: of all seeds.
        seed: chooses the rows and seeds everything else.
        results: of this seed; filled.
        save: writes all results.
    """

    def __init__(
        self, options: ExperimentOptions, seed: int, results: dict[str, Any], save: Callable[[], None]
    ) -> None:
        self.options, self.seed, self.results, self.save = options, seed, results, save
        self.source = options.dataset_dir
        self.hierarchy = read_labels(self.source / LABEL_FILE)
        self.folder = options.work_dir / f"{options.experiment}-{seed}"
        self.folder.mkdir(parents=True, exist_ok=True)
        write_labels(self.folder / LABEL_FILE, self.hierarchy)
        for name in (DEV_FILE, DATA_FILE):
            shutil.copyfile(self.source / name, self.folder / name)
        rows = list(read_examples(self.source / TRAIN_FILE, self.hierarchy))
        order = np.random.default_rng(seed).permutation(len(rows))
        self.rows = [rows[row] for row in order[: options.train_rows]]
        self.others = [rows[row] for row in order[options.train_rows :]]

    def write(self, name: str, rows: Sequence[Example]) -> None:
        """Write a labelled file to the experiment's folder."""
        write_examples(self.folder / name, rows, self.hierarchy)

    def read(self, name: str) -> list[Example]:
        """The rows of a labelled file in the experiment's folder."""
        return list(read_examples(self.folder / name, self.hierarchy))

    def measure(self, variant: str, train_file: str) -> None:
        """Train on a file in both ways and keep the scores on test, unless that is done."""
        measured = self.results.setdefault(variant, {})
        if LINEAR not in measured:
            dev, test = self.read(DEV_FILE), list(read_examples(evaluation_file(self.source), self.hierarchy))
            measured[LINEAR] = _scores(LinearBaseline(self.read(train_file), dev, self.hierarchy).score(test))
            self.save()
        wanted, name = self.options.trained, self.options.model_name
        if name not in measured and (not wanted or variant in wanted):
            checkpoint = self.train(variant, train_file, self.options.epochs)
            measured[name] = self._evaluated(checkpoint)
            self.save()
        print(f"seed {self.seed}, {variant}: {json.dumps(measured)}", flush=True)

    def train(self, name: str, train_file: str, epochs: int) -> Path:
        """The checkpoint of a training, which is run or gone on with unless it is there."""
        checkpoint, options = self.folder / name.replace(" ", "_"), self.options
        if not checkpoint.exists() or checkpoint.with_name(f"{checkpoint.name}.resume").exists():
            run_script(
                "training/train.py",
                *("--device", options.device, "--dataset_dir", self.folder, "--train_file", train_file),
                *(
                    "--save_dir",
                    checkpoint,
                    "--model_name",
                    options.model_name,
                    "--learning_rate",
                    options.learning_rate,
                ),
                *("--epochs", epochs, "--seed", self.seed, "--warmup", "--warmup_steps", 100, "--weight_decay", 0.01),
                *("--token_dropout", 0.1, "--loss", options.loss),
                *("--max_seq_length", options.max_seq_length),
                *(("--resume",) if checkpoint.with_name(f"{checkpoint.name}.resume").exists() else ()),
            )
        return checkpoint

    def _evaluated(self, checkpoint: Path) -> dict[str, float]:
        figures = self.folder / "evaluation.json"
        run_script(
            "training/analysis/evaluate.py",
            *("--device", self.options.device, "--dataset_dir", self.source.absolute(), "--params_path", checkpoint),
            *("--max_seq_length", self.options.max_seq_length, "--train_file", DEV_FILE),
            *("--dev_file", evaluation_file(self.source).name),
            *("--bad_case_path", self.folder / "bad_case.txt", "--json", figures),
        )
        return _scores(json.loads(figures.read_text(encoding="utf-8"))["summary"])


def _scores(result: dict[str, Any]) -> dict[str, float]:
    return {name: round(float(result[name]), 4) for name in ("micro_f1", "macro_f1")}


def run_script(*words: object) -> None:
    """Run a script of the project; raises ClassifierError with the end of what it said where it fails."""
    done = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClassifierError(f"{words[0]} failed: {done.stderr.strip()[-500:]}")
