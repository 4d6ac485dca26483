"""What a GPU is worth: training, prediction and serving on it beside the CPU, and whether the answers are the same.

    python -m benchmarks.gpu

Looks first whether driver, card and packages go together, and leaves with status 3 where they do not; what a card
cannot do alone (train, or TensorRT, whose libraries are not among the packages) is left out with a word. The model has
ERNIE-3.0-medium's shape and random weights, so that only its answers' agreement means something.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.compute.in_process import fresh_process
from benchmarks.compute.random_model import SHAPES, made_bundle
from benchmarks.compute.step_engines import LABELS, LENGTHS, ROWS, paddle_engine
from benchmarks.options import RecordOptions, TextsOptions
from benchmarks.quality.frontier import PUBLISHED_MODELS
from benchmarks.records import PROJECT, environment, write_record
from benchmarks.serving.server_agreement import Answers, collected, compare
from benchmarks.tables import markdown
from clients.triton import TritonClient
from pipeline.command import announce, run
from pipeline.compute import gpu
from pipeline.compute.runtimes import COMPUTED_ON, unavailable
from pipeline.errors import ClassifierError, EnvironmentFault
from pipeline.files.bundle import Bundle
from pipeline.options import option, parse
from serving.process.ports import Ports
from serving.publish import PublishOptions, publish
from serving.triton.server.launcher import TritonServer
from training.gate.worker import Worker
from training.model.model_names import SCRATCH

CPU = COMPUTED_ON[0]
ENGINES = (("cpu", "float32"), ("gpu", "float32"), ("gpu", "float16"), ("tensorrt", "float16"))
TOKENS = 16384
"""Of a batch at most: what a server is given on a GPU."""
WARM_UP_STEPS = 3
CALLERS, TEXTS_PER_CALL = 16, 8
RECORD = PROJECT / "build" / "bench" / "gpu.json"


@dataclass(frozen=True)
class GpuOptions(TextsOptions, RecordOptions):
    """What is measured, and for how long."""

    devices: tuple[str, ...] = option(COMPUTED_ON, "devices that are measured", choices=COMPUTED_ON)
    shape: str = option("ernie-3.0-medium", "shape of the model", choices=tuple(SHAPES))
    trained: str = option("scratch-medium", "shape of the model that is trained", choices=tuple(SCRATCH))
    batch_sizes: tuple[int, ...] = option((1, 8, 32, 128), "texts that are computed together", at_least=1)
    rounds: int = option(5, "turns of each device, of which the median counts", at_least=1)
    steps: int = option(10, "training steps of each length", at_least=1)
    seconds: float = option(10.0, "seconds that each server is asked for", above=0, at_most=60)
    compared: int = option(256, "texts whose answers are compared", at_least=1)


def measure(options: GpuOptions) -> dict[str, Any]:
    """The record: the cards, and what each part measured by device.

    Raises:
        EnvironmentFault: a GPU is asked for, and this machine has none, or no package that computes there.
    """
    cards = require_gpu() if set(options.devices) != {CPU} else []
    about, texts = environment(), options.shuffled()
    with tempfile.TemporaryDirectory(prefix="gpu-") as place:
        announce("making the model")
        bundle = made_bundle(options.shape, Path(place) / "bundle", texts, precisions=("float16",))
        return {
            "environment": {**about, "GPUs": cards},
            "texts": options.source,
            "shape": options.shape,
            "training": train(options, texts),
            "predictor": predict(options, bundle, texts),
            "served": serve(options, bundle, texts, Path(place)),
        }


def require_gpu() -> list[str]:
    """The cards in words; raises EnvironmentFault where none can be computed on at all."""
    cards = [f"{card.name}, compute capability {'{}.{}'.format(*card.capability)}" for card in gpu.driver().cards]
    if why := unavailable("onnxruntime", device="gpu"):
        raise EnvironmentFault(why)
    return cards


@contextmanager
def left_out(what: str, found: dict[str, Any]) -> Iterator[None]:
    """Writes down and says why a device cannot do something; the others go on."""
    try:
        yield
    except ClassifierError as error:
        print(f"{what} is left out: {error}", file=sys.stderr)
        found["left out"] = str(error)


def train(options: GpuOptions, texts: Sequence[str]) -> dict[str, Any]:
    """By device the loss of the batch before the first step, and milliseconds of a step by length."""
    results: dict[str, Any] = {}
    for device in (device for device in options.devices if device != "tensorrt"):
        announce(f"training on the {device}")
        results[device] = {}
        with left_out(f"training on the {device}", results[device]), fresh_process() as pool:
            results[device] |= pool.submit(step_times, options.trained, device, options.steps, list(texts)).result()
    return results


def step_times(shape: str, device: str, steps: int, texts: list[str]) -> dict[str, Any]:
    """See `train`; for a process of its own."""
    import paddle

    random, width = np.random.default_rng(3), SCRATCH[shape].hidden_size
    batch: dict[str, np.ndarray] = {
        "input_ids": random.integers(5, 200, (ROWS, max(LENGTHS))),
        "targets": (random.random((ROWS, LABELS)) < 2 / LABELS).astype(np.float32),
        "classifier": random.normal(0, 0.02, (width, LABELS)).astype(np.float32),
    }
    paddle.seed(3)
    engine = paddle_engine(shape, batch, 0, device, texts)
    finish = paddle.device.cuda.synchronize if device == "gpu" else lambda: None
    found: dict[str, Any] = {"loss": round(engine.evaluate(LENGTHS[0]), 4)}
    for length in LENGTHS:
        for count in (WARM_UP_STEPS, steps):
            finish()
            started = time.perf_counter()
            for _ in range(count):
                engine.step(length)
            finish()
            found[f"ms, {ROWS} x {length}"] = round(1000 * (time.perf_counter() - started) / count, 2)
    return found


def predict(options: GpuOptions, bundle: Bundle, texts: Sequence[str]) -> dict[str, Any]:
    """By device and precision texts per second by batch size, and how far the answers are from those of the CPU."""
    encoder = bundle.encoder()
    compared = encoder.encode(texts[: options.compared])
    rows = [compared[number % len(compared)] for number in range(max(options.batch_sizes))]
    expected: np.ndarray | None = None
    results: dict[str, Any] = {}
    for device, precision in ((each, own) for each, own in ENGINES if each in options.devices):
        name = f"{device} {precision}"
        announce(f"predicting on the {name}")
        results[name] = {}
        with (
            left_out(name, results[name]),
            Worker(bundle.path, "onnxruntime", precision, None, device) as worker,
        ):
            logits = worker.logits(compared)
            expected = logits if expected is None else expected
            results[name] |= agreement(bundle, logits, expected)
            for size in options.batch_sizes:
                batches = [rows[:size]] * max(1, min(8, 64 // size))
                worker.seconds(batches[:1], TOKENS)  # the first of a shape takes memory, and TensorRT builds an engine
                seconds = statistics.median(worker.seconds(batches, TOKENS) for _ in range(options.rounds))
                results[name][f"texts/s, {size} together"] = round(size * len(batches) / seconds, 1)
    return results


def agreement(bundle: Bundle, logits: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """The share of texts with the label set that is expected, and the largest difference of a score."""
    one, other = (bundle.decoder().decode(each) for each in (logits, expected))
    return {
        "equal label sets": round(float((one.selected == other.selected).all(axis=1).mean()), 4),
        "largest difference": float(f"{np.abs(one.scores - other.scores).max():.1e}"),
    }


def serve(options: GpuOptions, bundle: Bundle, texts: Sequence[str], place: Path) -> dict[str, Any]:
    """By device texts per second of a Triton server, and how far its answers are from those of the CPU's."""
    sent, results = texts[: options.compared], dict[str, Any]()
    expected: Answers | None = None
    for device, precision in ((each, own) for each, own in ENGINES if each in options.devices and each != "tensorrt"):
        name = f"{device} {precision}"
        announce(f"serving on the {name}")
        results[name] = {}
        with left_out(f"serving on the {name}", results[name]):
            folder = place / name.replace(" ", "-")
            publish(
                PublishOptions(
                    bundle=bundle.path,
                    only="triton",
                    runtime="onnxruntime",
                    precision=precision,
                    device=device,
                    model_repository=folder / "model_repository",
                    queue_size=1_000_000,
                )
            )
            with TritonServer(folder / "model_repository", ports=Ports.free(), state_dir=folder) as server:
                server.wait_ready()
                with TritonClient(server.grpc_address) as client:
                    answers = collected(client.classify_stream(sent))
                expected = answers if expected is None else expected
                results[name] |= {**compare(answers, expected), "texts/s": load(server, sent, options.seconds)}
    return results


def load(server: TritonServer, texts: Sequence[str], seconds: float) -> float:
    """Texts per second that CALLERS get answered."""
    deadline = time.monotonic() + seconds

    def call(first: int) -> int:
        count, part = 0, [texts[(first + number) % len(texts)] for number in range(TEXTS_PER_CALL)]
        with TritonClient(server.grpc_address) as client:
            while time.monotonic() < deadline:
                client.classify(part)
                count += len(part)
        return count

    with ThreadPoolExecutor(CALLERS) as pool:
        started = time.monotonic()
        answered = sum(pool.map(call, range(0, CALLERS * TEXTS_PER_CALL, TEXTS_PER_CALL)))
        return round(answered / (time.monotonic() - started), 1)


def report(record: dict[str, Any]) -> None:
    """Print a table for each part, and what is published of this shape."""
    for part in ("training", "predictor", "served"):
        columns = list(dict.fromkeys(key for found in record[part].values() for key in found))
        lines = [[name, *(str(found.get(key, "")) for key in columns)] for name, found in record[part].items()]
        print(f"\n{markdown([part, *columns], lines)}")
    if published := PUBLISHED_MODELS.get(record["shape"]):
        print(
            f"\npublished for {record['shape']}, on a Tesla V100, 32 texts together: {1000 / published[2]:.1f} texts/s"
        )


def parse_args(argv: Sequence[str] | None) -> GpuOptions:
    return parse(GpuOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    record = measure(options)
    write_record(options.output_file or RECORD, record)
    report(record)
    print(f"\nwritten to {options.output_file or RECORD}")


if __name__ == "__main__":
    run(main)
