"""One experiment on training data: rows drawn by a seed, variants of them trained in two ways and measured."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
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
)

LINEAR = "linear"


class Experiment:
    """One experiment with one seed: a folder of its own, and what was measured in it so far.

    Args:
        args: the command line.
        seed: chooses the rows and seeds everything else.
        results: of this seed; filled.
        save: writes all results.
    """

    def __init__(self, args: argparse.Namespace, seed: int, results: dict[str, Any], save: Callable[[], None]) -> None:
        self.args, self.seed, self.results, self.save = args, seed, results, save
        self.source = Path(args.dataset_dir)
        self.hierarchy = read_labels(self.source / LABEL_FILE)
        self.folder = Path(args.work_dir) / f"{args.experiment}-{seed}"
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in (LABEL_FILE, DEV_FILE, DATA_FILE):
            shutil.copyfile(self.source / name, self.folder / name)
        rows = list(read_examples(self.source / TRAIN_FILE, self.hierarchy))
        order = np.random.default_rng(seed).permutation(len(rows))
        self.rows = [rows[row] for row in order[: args.rows]]
        self.others = [rows[row] for row in order[args.rows :]]

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
        wanted = self.args.trained
        if self.args.model_name not in measured and (wanted is None or variant in wanted):
            checkpoint = self.train(variant, train_file, self.args.epochs)
            measured[self.args.model_name] = self._evaluated(checkpoint)
            self.save()
        print(f"seed {self.seed}, {variant}: {json.dumps(measured)}", flush=True)

    def train(self, name: str, train_file: str, epochs: int) -> Path:
        """The checkpoint of a training, which is run or gone on with unless it is there."""
        checkpoint, args = self.folder / name.replace(" ", "_"), self.args
        if not checkpoint.exists() or checkpoint.with_name(f"{checkpoint.name}.resume").exists():
            run_script(
                "training/train.py",
                *("--device", args.device, "--dataset_dir", self.folder, "--train_file", train_file),
                *("--save_dir", checkpoint, "--model_name", args.model_name, "--learning_rate", args.learning_rate),
                *("--epochs", epochs, "--seed", self.seed, "--warmup", "--warmup_steps", 100, "--weight_decay", 0.01),
                *("--token_dropout", 0.1, "--loss", args.loss, "--logging_steps", 1000),
                *("--max_seq_length", args.max_seq_length),
                *(("--resume",) if checkpoint.with_name(f"{checkpoint.name}.resume").exists() else ()),
            )
        return checkpoint

    def _evaluated(self, checkpoint: Path) -> dict[str, float]:
        figures = self.folder / "evaluation.json"
        run_script(
            "training/analysis/evaluate.py",
            *("--device", self.args.device, "--dataset_dir", self.source.absolute(), "--params_path", checkpoint),
            *(
                "--max_seq_length",
                self.args.max_seq_length,
                "--dev_file",
                evaluation_file(self.source).name,
                "--train_file",
                DEV_FILE,
            ),
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
