"""Memory and speed of prediction and evaluation over ever longer files.

    python -m benchmarks.serving.memory_growth --params_path export --rows 10000 100000 1000000

Both stream, so their peak memory must not grow with the rows. Each runs as a process of its own, on made-up rows in a
temporary folder: characters and words at random, of the lengths of news sentences, with labels of the model.
"""

from __future__ import annotations

import json
import os
import random
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.records import PROJECT
from pipeline.command import run
from pipeline.errors import ClassifierError
from pipeline.files.bundle import MANIFEST_FILE, Bundle
from pipeline.files.dataset import (
    DATA_FILE,
    DEV_FILE,
    LABEL_FILE,
    TRAIN_FILE,
    Example,
    read_labels,
    write_examples,
    write_labels,
    write_texts,
)
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.options import option, parse
from training.options import DEVICES, ModelOptions, SeedOptions

TRAIN_ROWS = 100  # evaluate.py scores train.txt too; it stays small beside dev.txt
COMMANDS = {
    "predict": ("training/predict.py", "--format", "jsonl", "--output_file", "predictions.jsonl"),
    "evaluate": ("training/analysis/evaluate.py", "--bad_case_path", "bad_case.txt"),
}
"""Each command's script and options, besides the model and the dataset folder; the last word is a file to write."""


@dataclass(frozen=True)
class MemoryGrowthOptions(ModelOptions, SeedOptions):
    """Which model predicts and evaluates how many rows."""

    params_path: Path = option(help="a checkpoint or a bundle")
    rows: tuple[int, ...] = option((10_000, 100_000, 1_000_000), "rows of the files", at_least=1)
    commands: tuple[str, ...] = option(tuple(COMMANDS), "commands that are run", choices=tuple(COMMANDS))
    device: str = option("cpu", "what to compute on", choices=DEVICES)


@dataclass(frozen=True)
class Measurement:
    """One run of a command.

    Attributes:
        seconds: of the whole process, imports and loading the model included.
        peak_megabytes: its largest resident memory, in 10^6 bytes.
    """

    command: str
    rows: int
    seconds: float
    peak_megabytes: float

    @property
    def rows_per_second(self) -> float:
        return self.rows / self.seconds


def model_labels(params_path: Path) -> LabelHierarchy:
    """The labels of a bundle or a checkpoint.

    Raises:
        InputError: it is neither.
    """
    folder = params_path.parent if params_path.is_file() else params_path
    return Bundle(folder).hierarchy if (folder / MANIFEST_FILE).exists() else read_labels(folder / LABEL_FILE)


def write_dataset(folder: Path, hierarchy: LabelHierarchy, rows: int, seed: int) -> None:
    """A dataset folder with `rows` rows in dev.txt and in data.txt."""
    write_labels(folder / LABEL_FILE, hierarchy)
    write_examples(folder / TRAIN_FILE, made_up_examples(hierarchy, TRAIN_ROWS, seed + 1), hierarchy)
    write_examples(folder / DEV_FILE, made_up_examples(hierarchy, rows, seed), hierarchy)
    write_texts(folder / DATA_FILE, (example.text for example in made_up_examples(hierarchy, rows, seed)))


def made_up_examples(hierarchy: LabelHierarchy, rows: int, seed: int) -> Iterator[Example]:
    generator = random.Random(seed)
    characters = [chr(code) for code in range(0x4E00, 0x9FA6)]
    for _ in range(rows):
        length = min(500, 5 + int(generator.lognormvariate(3.5, 0.6)))
        text = "".join(generator.choices(characters, k=length))
        word = "".join(generator.choices(string.ascii_lowercase, k=generator.randint(2, 12)))
        labels = hierarchy.with_ancestors(generator.choices(hierarchy.labels, k=generator.randint(1, 3)))
        yield Example(f"{text[: length // 2]}{word} {text[length // 2 :]}", tuple(sorted(labels)))


def run_measured(command: str, rows: int, dataset: Path, model_options: Sequence[str]) -> Measurement:
    """Run a command to its end.

    Raises:
        ClassifierError: it failed; it has said why.
    """
    *options, output = COMMANDS[command]
    words = [*options, str(dataset / output), "--dataset_dir", str(dataset), *model_options]
    started = time.monotonic()
    process = subprocess.Popen([sys.executable, *words], cwd=PROJECT, stdout=subprocess.DEVNULL)
    # Not resource.getrusage(): that knows the largest of all children only.
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ClassifierError(f"{words[0]} ended with status {process.returncode}")
    return Measurement(command, rows, time.monotonic() - started, usage.ru_maxrss * 1024 / 1e6)


def measure(options: MemoryGrowthOptions) -> list[dict[str, Any]]:
    """Time and memory of each command on each file; a line of the table is printed as soon as it is known.

    Raises:
        InputError: `params_path` is no model.
        ClassifierError: a command fails.
    """
    hierarchy = model_labels(options.params_path)
    names = ("device", "max_seq_length", "batch_size")
    model = [word for name in names for word in (f"--{name}", str(getattr(options, name)))]
    model += ["--params_path", str(options.params_path.resolve())]
    measured = []
    print(f"{'command':10}{'rows':>12}{'seconds':>10}{'rows/s':>10}{'peak MB':>10}", flush=True)
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as folder:
            write_dataset(Path(folder), hierarchy, rows, options.seed)
            for command in options.commands:
                each = run_measured(command, rows, Path(folder), model)
                figures = {**asdict(each), "rows_per_second": each.rows_per_second}
                measured.append({k: round(v, 1) if isinstance(v, float) else v for k, v in figures.items()})
                print(
                    f"{command:10}{rows:12,}{each.seconds:10.1f}{each.rows_per_second:10.0f}{each.peak_megabytes:10.0f}",
                    flush=True,
                )
    return measured


def parse_args(argv: Sequence[str] | None) -> MemoryGrowthOptions:
    return parse(MemoryGrowthOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    measured = measure(options)
    print(json.dumps({"params_path": str(options.params_path), "device": options.device, "measured": measured}))


if __name__ == "__main__":
    run(main)
