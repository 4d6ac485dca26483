"""How time and memory grow: with text length, labels, texts per call, requests under way, and rows of a file.

    python -m benchmarks.serving.growth --output_file growth.json
    python -m benchmarks.serving.growth --axes rows --rows 1000 10000 100000 1000000

Models have random weights; texts are made up and as long as they are meant to be. Every point but those of the server
is a process of its own, whose peak memory is its own. Time and memory are fitted as a * n^k by least squares in
logarithms; k is the exponent: 0 does not grow, 1 grows in proportion. Beside the k of all points stands that of the
last two, because what every call costs hides the growth where n is small. Each axis is written as soon as it is
measured, and stays in the file when others are measured again.
"""

from __future__ import annotations

import json
import re
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Callable

import numpy as np

from benchmarks.compute.in_process import fresh_process
from benchmarks.compute.random_model import made_bundle
from benchmarks.options import RecordOptions
from benchmarks.records import environment, read_record
from benchmarks.serving.memory_growth import COMMANDS, run_measured, write_dataset
from benchmarks.serving.pair import FASTEST, WAITING
from benchmarks.serving.triton_load import PerfAnalyzer
from benchmarks.serving.watched import resident_megabytes, watched_server
from pipeline.command import run
from pipeline.compute.runtimes import AUTO, resolve, unavailable
from pipeline.files.bundle import Bundle
from pipeline.labels.hierarchy import SEPARATOR
from pipeline.options import option, parse
from pipeline.predictor import Predictor
from serving.triton.deployment import TritonDeployment
from serving.triton.options import ServingOptions
from serving.triton.repository import ModelRepository
from training.model.model_names import SCRATCH

AXES = ("length", "labels", "batch", "concurrency", "rows")
SPECIAL_TOKENS = 2
TEXT_LENGTH = 30
"""Tokens of a text where the length does not vary, as of news sentences."""
TEXTS_PER_CALL = 32
TURN_SECONDS = 1.0


@dataclass(frozen=True)
class Point:
    """One measurement.

    Attributes:
        n: where on the axis.
        seconds: of a call, a request or a run of a command.
        megabytes: peak resident memory of the process, 10^6 bytes; of a server, of all its processes now.
    """

    n: int
    seconds: float
    megabytes: float


@dataclass(frozen=True)
class GrowthOptions(RecordOptions):
    """What grows, and the points at which it is measured."""

    axes: tuple[str, ...] = option(AXES, "what grows", choices=AXES)
    shape: str = option("scratch-mini", "shape of the model, but for --axes rows", choices=tuple(SCRATCH))
    length: tuple[int, ...] = option((16, 32, 64, 128, 256, 512), "tokens of a text", at_least=3)
    labels: tuple[int, ...] = option((10, 100, 1000, 10_000), "labels of the model", at_least=1)
    batch: tuple[int, ...] = option((1, 4, 16, 64, 256, 1024), "texts of a call", at_least=1)
    concurrency: tuple[int, ...] = option((1, 2, 4, 8, 16, 32, 64), "requests under way", at_least=1)
    rows: tuple[int, ...] = option((1000, 10_000, 100_000, 1_000_000), "rows of a file", at_least=1)


def _measured_before(options: GrowthOptions) -> dict[str, Any]:
    """Axes that the output file holds already: they stay until they are measured again."""
    if not options.output_file or not options.output_file.exists():
        return {}
    record = read_record(options.output_file)
    return record["axes"] if record.get("shape") == options.shape else {}


def fits(points: Sequence[Point]) -> dict[str, float | None]:
    """The exponents k of time and memory, of all points and of the last two; None of a single point."""
    found: dict[str, float | None] = {}
    for key, values in (
        ("time", [point.seconds for point in points]),
        ("memory", [point.megabytes for point in points]),
    ):
        n = [point.n for point in points]
        found[f"{key}_exponent"] = exponent(n, values)
        found[f"{key}_exponent_of_the_last_two"] = exponent(n[-2:], values[-2:])
    return found


def exponent(n: Sequence[int], values: Sequence[float]) -> float | None:
    """k of the a * n^k that lies nearest to the values, by least squares of logarithms."""
    if len(set(n)) < 2:
        return None
    return round(float(np.polyfit(np.log(n), np.log(values), 1)[0]), 2) + 0.0  # no -0.0


def _by_length(options: GrowthOptions) -> dict[str, list[Point]]:
    """Eight texts in a call."""
    with tempfile.TemporaryDirectory() as place:
        bundle = made(options.shape, Path(place), max_seq_length=max(options.length))
        return {"text length": [call(bundle, 8, length, n=length) for length in options.length]}


def _by_labels(options: GrowthOptions) -> dict[str, list[Point]]:
    """TEXTS_PER_CALL texts in a call."""
    points = []
    for count in options.labels:
        with tempfile.TemporaryDirectory() as place:
            bundle = made(options.shape, Path(place), labels=tree(count))
            points.append(call(bundle, TEXTS_PER_CALL, TEXT_LENGTH, n=count))
    return {"labels": points}


def _by_batch(options: GrowthOptions) -> dict[str, list[Point]]:
    """One call."""
    with tempfile.TemporaryDirectory() as place:
        bundle = made(options.shape, Path(place))
        return {"texts per call": [call(bundle, size, TEXT_LENGTH, n=size) for size in options.batch]}


def _by_concurrency(options: GrowthOptions) -> dict[str, list[Point]]:
    """The median latency of a request to our server, and the memory that its processes have come to."""
    points = []
    with tempfile.TemporaryDirectory() as place:
        bundle = made(options.shape, Path(place))
        repository = ModelRepository(Path(place) / "repository")
        runtime, precision = engine(bundle)
        serving = ServingOptions(runtime=runtime, precision=precision, **WAITING)
        TritonDeployment(repository).publish(bundle, serving)
        load = PerfAnalyzer([text_of(TEXT_LENGTH, number) for number in range(256)], Path(place))
        with watched_server(repository, Path(place) / "state") as (server, _):
            for concurrency in options.concurrency:
                first = load.turn(server.grpc_address, concurrency, 8 * concurrency)
                requests = max(8 * concurrency, int(TURN_SECONDS * first.throughput))
                turn = load.turn(server.grpc_address, concurrency, requests)
                points.append(Point(concurrency, turn.p50_ms / 1000, resident_megabytes(server)))
    return {"requests under way": points}


def _by_rows(options: GrowthOptions) -> dict[str, list[Point]]:
    """predict.py and evaluate.py on files of so many rows, imports and all."""
    found: dict[str, list[Point]] = {command: [] for command in COMMANDS}
    with tempfile.TemporaryDirectory() as place:
        bundle = made("scratch-tiny", Path(place))
        for rows in options.rows:
            with tempfile.TemporaryDirectory() as data:
                write_dataset(Path(data), bundle.hierarchy, rows, seed=3)
                for command, points in found.items():
                    model = ["--params_path", str(bundle.path), "--device", "cpu"]
                    each = run_measured(command, rows, Path(data), model)
                    points.append(Point(rows, each.seconds, each.peak_megabytes))
    return {f"rows, {command}": points for command, points in found.items()}


MEASURED: dict[str, Callable[[GrowthOptions], dict[str, list[Point]]]] = {
    "length": _by_length,
    "labels": _by_labels,
    "batch": _by_batch,
    "concurrency": _by_concurrency,
    "rows": _by_rows,
}
"""What measures each axis: points by the name under which they are shown."""


def made(shape: str, place: Path, **more: Any) -> Bundle:
    """A bundle in `place`, as `create_bundle` makes it."""
    return made_bundle(shape, place / "bundle", [text_of(TEXT_LENGTH, number) for number in range(64)], **more)


def tree(count: int) -> tuple[str, ...]:
    """So many label paths: every tenth is a parent of the nine after it."""
    return tuple(
        f"{number // 10:04}" if number % 10 == 0 else f"{number // 10:04}{SEPARATOR}{number % 10}"
        for number in range(count)
    )


def text_of(tokens: int, number: int) -> str:
    """A text that the models here read as so many tokens: Chinese characters, each a token of its own."""
    random = np.random.default_rng(number)
    return "".join(map(chr, random.integers(0x4E00, 0x9FA6, tokens - SPECIAL_TOKENS)))


def engine(bundle: Bundle) -> tuple[str, str]:
    """Runtime and precision: the fastest here."""
    return FASTEST if not unavailable(*FASTEST) else resolve(bundle, AUTO, AUTO)


def call(bundle: Bundle, texts: int, length: int, n: int) -> Point:
    """Time of a call that predicts so many texts of a length, and the peak memory of a process that does."""
    with fresh_process() as pool:
        return Point(n, *pool.submit(_call, bundle.path, engine(bundle), texts, length).result())


def _call(bundle: Path, runtime_precision: tuple[str, str], texts: int, length: int) -> tuple[float, float]:
    predictor = Predictor(bundle, *runtime_precision)
    wanted = [text_of(length, number) for number in range(texts)]
    predictor.predict(wanted)
    found: list[float] = []
    while sum(found) < TURN_SECONDS or len(found) < 3:
        started = time.perf_counter()
        predictor.predict(wanted)
        found.append(time.perf_counter() - started)
    # Not resource.getrusage(): what that knows is at least the memory of the process that started this one.
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="utf-8"))
    return statistics.median(found), int(peak) * 1024 / 1e6


def measure(options: GrowthOptions) -> dict[str, Any]:
    """The record; each axis is printed and written as soon as it is measured.

    Raises:
        ClassifierError: a server or a command fails.
    """
    record: dict[str, Any] = {"environment": environment(), "shape": options.shape, "axes": _measured_before(options)}
    print(f"{'axis':<22}{'n':>9}{'seconds':>12}{'MB':>9}", flush=True)
    for axis in options.axes:
        for name, points in MEASURED[axis](options).items():
            found = {"points": [asdict(point) for point in points], **fits(points)}
            record["axes"][name] = found
            for point in points:
                print(f"{name:<22}{point.n:>9,}{point.seconds:>12.5f}{point.megabytes:>9.0f}", flush=True)
            options.write(record)
            exponents = (f"{key.replace('_', ' ')} {value}" for key, value in found.items() if "exponent" in key)
            print(f"{name:<22}{'; '.join(exponents)}", flush=True)
    return record


def parse_args(argv: Sequence[str] | None) -> GrowthOptions:
    return parse(GrowthOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    record = measure(parse_args(argv))
    print(json.dumps({name: found["time_exponent"] for name, found in record["axes"].items()}))


if __name__ == "__main__":
    run(main)
