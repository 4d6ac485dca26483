"""Our ensemble and the baseline, both served with the same model."""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from benchmarks.compute.in_process import InProcess, fresh_process
from benchmarks.compute.random_model import create_bundle
from benchmarks.records import PROJECT
from benchmarks.serving.origin_design import write_model_repository
from benchmarks.serving.turns import ORIGIN, OURS, check_answers
from pipeline.compute.runtimes import AUTO, PRECISIONS, RUNTIMES, resolve, unavailable
from pipeline.errors import ClassifierError, DatasetError, InputError
from pipeline.files.bundle import Bundle
from pipeline.files.dataset import TEST_FILE, read_lines
from pipeline.labels.decoding import Decoder, DecodingPolicy
from pipeline.text.normalisation import normalise, text_fault
from serving.process.ports import Ports
from serving.triton.server.launcher import TritonServer
from training.make_sample_dataset import SampleDataset, SampleOptions
from training.model.model_names import SCRATCH
from training.model.width import kept, parse_widths

FASTEST = ("openvino", "bfloat16")
"""What is served of a bundle that no release gate has chosen for, where the machine can."""
WAITING: dict[str, Any] = {"queue_size": 16_384}
"""Ours refuses nothing while it is measured: how fast it computes is asked here, and not what it turns away."""
SEED = 3
READY_SECONDS = 180.0


@dataclass(frozen=True)
class Pair:
    """Both servers, ready, and what they serve.

    Attributes:
        bundle: ours.
        runtime, precision: of ours.
        texts: as they are sent: normalised, since the baseline normalises nothing.
        servers: OURS and ORIGIN.
        seconds_until_ready: of each server.
        agreement: of each server, the share of texts that it answers as its bundle does in process.
        predictor: our bundle in process.
    """

    bundle: Bundle
    runtime: str
    precision: str
    texts: list[str]
    servers: dict[str, TritonServer]
    seconds_until_ready: dict[str, float]
    agreement: dict[str, float]
    predictor: InProcess

    def about(self, args: argparse.Namespace) -> dict[str, Any]:
        """What was compared, for a record."""
        lengths = [len(row) for row in self.bundle.encoder().encode(self.texts)]
        return {
            "runtime": self.runtime,
            "precision": self.precision,
            "width": self.bundle.manifest.width,
            "model": self.bundle.manifest.model_name,
            "labels": len(self.bundle.hierarchy),
            "texts": "/".join(args.texts.resolve().parts[-2:]) if args.texts else "generated sample",
            "tokens per text": round(sum(lengths) / len(lengths), 1),
            "seconds until ready": self.seconds_until_ready,
            "equal label sets": self.agreement,
        }


def add_pair_options(parser: argparse.ArgumentParser) -> None:
    """What `check_pair_options` and `serve_pair` read."""
    add = parser.add_argument
    add("--texts", type=Path, help="a text per line, or the rows of a labelled file (default: a generated sample)")
    add("--bundle", type=Path, help="what is served (default: a model of --shape with random weights)")
    add("--baseline_bundle", type=Path, help="what the baseline serves, such as the unpruned model (default: --bundle)")
    add("--shape", choices=tuple(SCRATCH), default="scratch-medium", help="without --bundle (%(default)s)")
    add("--width", default="1", help="share of its heads and neurons that ours has, such as 2/3 (%(default)s)")
    add("--runtime", choices=(AUTO, *RUNTIMES), default=AUTO, help="ours; auto: the gate's choice, else the fastest")
    add("--precision", choices=(AUTO, *PRECISIONS), default=AUTO, help="likewise")
    add("--threads", type=int, default=0, help="ours; processor threads of the model, 0: one per core (%(default)s)")
    add("--texts_per_pass", type=int, default=256, help="drawn from the file; a turn is whole passes (%(default)s)")


def check_pair_options(args: argparse.Namespace) -> Fraction:
    """The width; raises InputError for what cannot be compared."""
    if args.texts_per_pass < 1:
        raise InputError(f"--texts_per_pass is {args.texts_per_pass}; give at least 1")
    widths = parse_widths(args.width)
    if len(widths) > 1:
        raise InputError(f"--width is {args.width}; give one")
    if args.bundle and widths[0] != 1:
        raise InputError("--width is for models of --shape; give --bundle a pruned bundle instead")
    if args.baseline_bundle and not args.bundle:
        raise InputError("--baseline_bundle goes with --bundle; give both")
    kept(SCRATCH[args.shape].heads, widths[0])
    return widths[0]


def read_texts(path: Path | None) -> list[str]:
    """The texts of a file with a text per line, or with labels behind a tab; without a file those of the sample."""
    if path is None:
        return [example.text for example in SampleDataset(SampleOptions()).examples[TEST_FILE]]
    texts = []
    for number, line in read_lines(path):
        texts.append(line.partition("\t")[0])
        fault = text_fault(texts[-1])
        if fault:
            raise DatasetError(path, number, fault)
    if not texts:
        raise InputError(f"{path} has no rows; there is nothing to measure on")
    return texts


def shuffled_texts(path: Path | None) -> list[str]:
    """As `read_texts`, in an order that is the same each time."""
    texts = read_texts(path)
    random.Random(SEED).shuffle(texts)
    return texts


def made_bundle(shape: str, folder: Path, texts: Sequence[str], **options: Any) -> Bundle:
    """As `benchmarks.compute.random_model.create_bundle`, in a process of its own.

    paddle sets variables that would limit the threads of whatever is started by a process that has imported it.
    """
    with fresh_process() as pool:
        return pool.submit(create_bundle, shape, folder, texts, **options).result()


@contextmanager
def serve_pair(args: argparse.Namespace, width: Fraction, texts: Sequence[str], place: Path) -> Iterator[Pair]:
    """Both servers, for as long as the block lasts; their files go to `place`.

    Raises:
        ClassifierError: a server does not start, or answers too few texts as its bundle does in process.
    """
    print("preparing the models", file=sys.stderr)
    ours, baseline = _prepare(args, width, texts, place)
    measured = [normalise(text, ours.manifest.normalisation) for text in texts[: args.texts_per_pass]]
    runtime, precision = _choose(ours, args.runtime, args.precision)
    _publish(ours.path, place / OURS, runtime, precision, args.threads)
    servers, ready = {}, {}
    with ExitStack() as stack:
        for name in (OURS, ORIGIN):
            state = place / f"{name}-state"
            servers[name] = stack.enter_context(TritonServer(place / name, ports=Ports.free(), state_dir=state))
            ready[name] = round(servers[name].wait_ready(READY_SECONDS), 1)
        predictor = stack.enter_context(InProcess(ours.path, runtime, precision, args.threads or None))
        agreement = {
            OURS: check_answers(servers[OURS], measured, ours.decoder().decode(predictor.logits(measured))),
            ORIGIN: check_answers(servers[ORIGIN], measured, _baseline_answers(baseline, measured)),
        }
        yield Pair(ours, runtime, precision, measured, servers, ready, agreement, predictor)


def _prepare(args: argparse.Namespace, width: Fraction, texts: Sequence[str], place: Path) -> tuple[Bundle, Bundle]:
    """The bundle that we serve, and the baseline's, whose model repository is written too."""
    if args.bundle:
        ours = Bundle(args.bundle)
        baseline = Bundle(args.baseline_bundle or args.bundle)
        if ours.manifest.labels != baseline.manifest.labels:
            raise InputError(f"{ours.path} and {baseline.path} have different labels; give bundles of one model")
    else:
        ours = baseline = made_bundle(args.shape, place / "bundle", texts)
        if width != 1:
            ours = made_bundle(args.shape, place / "narrow", texts, width=width)
    with fresh_process() as pool:  # it imports paddle too
        pool.submit(write_model_repository, baseline, place / ORIGIN).result()
    return ours, baseline


def _choose(bundle: Bundle, runtime: str, precision: str) -> tuple[str, str]:
    """Runtime and precision of ours."""
    open_choice = (runtime, precision) == (AUTO, AUTO) and not bundle.manifest.gate
    return FASTEST if open_choice and not unavailable(*FASTEST) else resolve(bundle, runtime, precision)


def _publish(bundle: Path, model_repository: Path, runtime: str, precision: str, threads: int) -> None:
    """Publish as a user does; raises ClassifierError where that fails, after it has said why."""
    words = [sys.executable, "-m", "serving.publish", "--bundle", bundle.resolve(), "--runtime", runtime]
    words += ["--precision", precision, "--threads", threads, "--model_repository", model_repository]
    words += [word for name, value in WAITING.items() for word in (f"--{name}", value)]
    status = subprocess.run(list(map(str, words)), cwd=PROJECT, stdout=sys.stderr, check=False).returncode
    if status:
        raise ClassifierError(f"{bundle} could not be published (exit status {status})")


def _baseline_answers(bundle: Bundle, texts: Sequence[str]) -> Any:
    """What the baseline has to answer: the model in float32, decoded by a threshold of 0.5 alone."""
    with InProcess(bundle.path, "onnxruntime", "float32", None) as reference:
        logits = reference.logits(texts)
    return Decoder(bundle.hierarchy, 0.5, DecodingPolicy("threshold")).decode(logits)
