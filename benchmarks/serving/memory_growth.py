"""Memory and speed of prediction, evaluation and bulk scoring over ever longer files.

    python -m benchmarks.serving.memory_growth --params_path export --rows 10000 100000 1000000
    python -m benchmarks.serving.memory_growth --params_path export --rows 100000 1000000 --commands bulk --texts in.txt

All stream, so their peak memory must not grow with the rows. Each runs as a process of its own, on made-up rows in a
temporary folder: characters and words at random, of the lengths of news sentences, with labels of the model.

`bulk` scores a Parquet file with ids, of the texts of --texts again and again, checks that every id came out once, and
is compared with the offline predictor on one core.
"""

from __future__ import annotations

import itertools
import json
import random
import string
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.compute.in_process import fresh_process
from benchmarks.memory import run_watched
from benchmarks.options import RecordOptions, TextsOptions
from benchmarks.records import environment
from pipeline.command import run
from pipeline.compute.runtimes import AUTO
from pipeline.errors import ClassifierError
from pipeline.files.bundle import MANIFEST_FILE, Bundle
from pipeline.files.chunks import ROWS_PER_CHUNK, chunks
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
from pipeline.predictor import Predictor
from training.options import DEVICES, ModelOptions, SeedOptions

TRAIN_ROWS = 100  # evaluate.py scores train.txt too; it stays small beside dev.txt
COMMANDS = {
    "predict": ("training/predict.py", "--format", "jsonl", "--output_file", "predictions.jsonl"),
    "evaluate": ("training/analysis/evaluate.py", "--bad_case_path", "bad_case.txt"),
}
"""Each command's script and options, besides the model and the dataset folder; the last word is a file to write."""
BULK = "bulk"
GROUP_ROWS = 50_000
"""Of a row group, which is a shard."""
PREDICTED_ROWS = 20_000


@dataclass(frozen=True)
class MemoryGrowthOptions(ModelOptions, SeedOptions, TextsOptions, RecordOptions):
    """Which model predicts, evaluates and scores how many rows."""

    params_path: Path = option(help="a checkpoint or a bundle; a bundle for bulk")
    rows: tuple[int, ...] = option((10_000, 100_000, 1_000_000), "rows of the files", at_least=1)
    commands: tuple[str, ...] = option(tuple(COMMANDS), "commands that are run", choices=(*COMMANDS, BULK))
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

    def figures(self) -> dict[str, Any]:
        """What a record holds of it."""
        found = {**asdict(self), "rows_per_second": self.rows_per_second}
        return {name: round(value, 1) if isinstance(value, float) else value for name, value in found.items()}


@dataclass(frozen=True)
class BulkMeasurement(Measurement):
    """One run of bulk scoring, in which every id came out once.

    Attributes:
        driver_megabytes, worker_megabytes: the largest resident memory of the first process, and of any other.
        cpu_seconds: of all its processes.
        predictor_rows_per_core_second: of the offline predictor alone.
        manifest_bytes, parts_bytes: of what it wrote.
    """

    driver_megabytes: float
    worker_megabytes: float
    cpu_seconds: float
    predictor_rows_per_core_second: float
    manifest_bytes: int
    parts_bytes: int

    def figures(self) -> dict[str, Any]:
        rate = self.rows / self.cpu_seconds
        ratio = {"share_of_predictor": round(rate / self.predictor_rows_per_core_second, 3)}
        return {**super().figures(), "rows_per_core_second": round(rate, 1), **ratio}


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
    watched = run_watched([sys.executable, *words])
    return Measurement(command, rows, watched.seconds, watched.peak_megabytes)


def run_bulk(bundle: Path, texts: Sequence[str], rows: int, place: Path) -> BulkMeasurement:
    """Score a Parquet file of `rows` rows, in a folder that is empty.

    Raises:
        ClassifierError: it failed, and has said why; or an id is not there exactly once.
    """
    predicted = predictor_rate(bundle, texts)
    source, scored = place / "texts.parquet", place / "scored"
    write_parquet(source, texts, rows)
    words = [
        "--input",
        str(source),
        "--id_column",
        "id",
        "--bundle",
        str(bundle.resolve()),
        "--output_dir",
        str(scored),
    ]
    took = run_watched([sys.executable, "-m", "serving.bulk", *words])
    check_ids(scored / "parts", rows)
    sizes = (
        (scored / "manifest.jsonl").stat().st_size,
        sum(part.stat().st_size for part in (scored / "parts").iterdir()),
    )
    memory = (took.peak_megabytes, took.own_megabytes, took.child_megabytes)
    return BulkMeasurement(BULK, rows, took.seconds, *memory, took.cpu_seconds, predicted, *sizes)


def write_parquet(path: Path, texts: Sequence[str], rows: int) -> None:
    """A file with the columns `id`, from 0, and `text`, the texts again and again."""
    endless, schema = itertools.cycle(texts), pa.schema([("id", pa.int64()), ("text", pa.string())])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, rows, GROUP_ROWS):
            ids = range(start, min(rows, start + GROUP_ROWS))
            columns = [pa.array(ids, pa.int64()), pa.array(list(itertools.islice(endless, len(ids))), pa.string())]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))


def check_ids(parts: Path, rows: int) -> None:
    """Raise ClassifierError unless each id from 0 to before `rows` stands in the parts once."""
    times = np.zeros(rows, np.int64)
    for part in parts.iterdir():
        np.add.at(times, pq.read_table(part, columns=["id"])["id"].cast(pa.int64()).to_numpy(), 1)
    if wrong := np.count_nonzero(times != 1):
        raise ClassifierError(f"{wrong:,} of {rows:,} ids came out {times[times != 1][0]} times, and not once")


def predictor_rate(bundle: Path, texts: Sequence[str]) -> float:
    """Texts a second of one core that the offline predictor answers alone."""
    with fresh_process() as pool:
        return pool.submit(_predictor_rate, bundle, texts).result()


def _predictor_rate(bundle: Path, texts: Sequence[str]) -> float:
    predictor = Predictor(bundle, AUTO, AUTO, threads=1)
    wanted = list(itertools.islice(itertools.cycle(texts), PREDICTED_ROWS))
    predictor.predict(wanted[:ROWS_PER_CHUNK])
    started = time.process_time()
    for chunk in chunks(wanted, ROWS_PER_CHUNK):
        predictor.predict(chunk)
    return len(wanted) / (time.process_time() - started)


def measure(options: MemoryGrowthOptions) -> dict[str, Any]:
    """The record: time and memory of each command on each file; it is printed and written as soon as it is known.

    Raises:
        InputError: `params_path` is no model.
        ClassifierError: a command fails.
    """
    hierarchy = model_labels(options.params_path)
    names = ("device", "max_seq_length", "batch_size")
    model = [word for name in names for word in (f"--{name}", str(getattr(options, name)))]
    model += ["--params_path", str(options.params_path.resolve())]
    said = {"environment": environment(), "params_path": options.params_path.name, "device": options.device}
    record: dict[str, Any] = {**said, "texts": options.source, "measured": []}
    each: Measurement
    print(f"{'command':10}{'rows':>12}{'seconds':>10}{'rows/s':>10}{'peak MB':>10}", flush=True)
    for rows in options.rows:
        for command in options.commands:
            with tempfile.TemporaryDirectory() as folder:
                if command == BULK:
                    each = run_bulk(options.params_path, options.shuffled(), rows, Path(folder))
                else:
                    write_dataset(Path(folder), hierarchy, rows, options.seed)
                    each = run_measured(command, rows, Path(folder), model)
            record["measured"].append(each.figures())
            options.write(record)
            print(
                f"{command:10}{rows:12,}{each.seconds:10.1f}{each.rows_per_second:10.0f}{each.peak_megabytes:10.0f}",
                flush=True,
            )
    return record


def parse_args(argv: Sequence[str] | None) -> MemoryGrowthOptions:
    return parse(MemoryGrowthOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    print(json.dumps(measure(parse_args(argv))))


if __name__ == "__main__":
    run(main)
