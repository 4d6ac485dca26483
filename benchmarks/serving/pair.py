"""Our ensemble and the baseline, both served with the same model."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from benchmarks.compute.in_process import InProcess, fresh_process
from benchmarks.compute.random_model import SHAPES, made_bundle
from benchmarks.options import BundleOptions, EngineOptions, TextsOptions
from benchmarks.records import PROJECT
from benchmarks.rounds import ORIGIN, OURS
from benchmarks.serving.origin_design import write_model_repository
from benchmarks.serving.turns import check_answers
from pipeline.compute.runtimes import AUTO, resolve, unavailable
from pipeline.errors import ClassifierError, InputError
from pipeline.files.bundle import Bundle
from pipeline.labels.decoding import Decoder, DecodingPolicy
from pipeline.options import option
from pipeline.text.normalisation import normalise
from serving.process.ports import Ports
from serving.triton.server.launcher import TritonServer
from serving.triton.server.options import TritonOptions
from training.model.width import kept, parse_widths

FASTEST = ("openvino", "bfloat16")
"""What is served of a bundle that no release gate has chosen for, where the machine can."""
WAITING: dict[str, Any] = {"queue_size": 16_384}
"""Ours refuses nothing while it is measured: how fast it computes is asked here, and not what it turns away."""
READY_SECONDS = 180.0


@dataclass(frozen=True)
class PairOptions(TextsOptions, BundleOptions, EngineOptions):
    """What ours and the baseline serve, and how ours computes."""

    baseline_bundle: Path | None = option(None, "what the baseline serves, such as the unpruned model (--bundle)")
    width: str = option("1", "share of the heads and neurons of --shape that ours has, such as 2/3")
    threads: int = option(0, "processor threads of our server's model, 0: one per core", at_least=0)
    texts_per_pass: int = option(256, "texts drawn from the file; a turn is whole passes over them", at_least=1)

    def check(self) -> None:
        super().check()
        widths = parse_widths(self.width)
        if len(widths) > 1:
            raise InputError(f"--width is {self.width}; give one")
        if self.bundle and widths[0] != 1:
            raise InputError("--width is for models of --shape; give --bundle a pruned bundle instead")
        if self.baseline_bundle and not self.bundle:
            raise InputError("--baseline_bundle goes with --bundle; give both")
        kept(SHAPES[self.shape].heads, widths[0])

    @property
    def share(self) -> Fraction:
        """The width as a number."""
        return parse_widths(self.width)[0]


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

    def about(self, options: PairOptions) -> dict[str, Any]:
        """What was compared, for a record."""
        lengths = [len(row) for row in self.bundle.encoder().encode(self.texts)]
        return {
            "runtime": self.runtime,
            "precision": self.precision,
            "width": self.bundle.manifest.width,
            "model": self.bundle.manifest.model_name,
            "labels": len(self.bundle.hierarchy),
            "texts": options.source,
            "tokens per text": round(sum(lengths) / len(lengths), 1),
            "seconds until ready": self.seconds_until_ready,
            "equal label sets": self.agreement,
        }


@contextmanager
def serve_pair(options: PairOptions, texts: Sequence[str], place: Path) -> Iterator[Pair]:
    """Both servers, for as long as the block lasts; their files go to `place`.

    Raises:
        ClassifierError: a server does not start, or answers too few texts as its bundle does in process.
    """
    print("preparing the models", file=sys.stderr)
    ours, baseline = _prepare(options, texts, place)
    measured = [normalise(text, ours.manifest.normalisation) for text in texts[: options.texts_per_pass]]
    runtime, precision = _choose(ours, options.runtime, options.precision)
    _publish(ours.path, place / OURS, runtime, precision, options.threads)
    servers, ready = {}, {}
    with ExitStack() as stack:
        for name in (OURS, ORIGIN):
            state = place / f"{name}-state"
            how = TritonOptions(direct_grpc=name == ORIGIN)  # the baseline has nothing before it
            server = TritonServer(place / name, ports=Ports.free(), state_dir=state, options=how)
            servers[name] = stack.enter_context(server)
            ready[name] = round(servers[name].wait_ready(READY_SECONDS), 1)
        predictor = stack.enter_context(InProcess(ours.path, runtime, precision, options.threads or None))
        agreement = {
            OURS: check_answers(servers[OURS], measured, ours.decoder().decode(predictor.logits(measured))),
            ORIGIN: check_answers(servers[ORIGIN], measured, _baseline_answers(baseline, measured)),
        }
        yield Pair(ours, runtime, precision, measured, servers, ready, agreement, predictor)


def _prepare(options: PairOptions, texts: Sequence[str], place: Path) -> tuple[Bundle, Bundle]:
    """The bundle that we serve, and the baseline's, whose model repository is written too."""
    ours = baseline = options.open(place, texts)
    if options.baseline_bundle:
        baseline = Bundle(options.baseline_bundle)
        if ours.manifest.labels != baseline.manifest.labels:
            raise InputError(f"{ours.path} and {baseline.path} have different labels; give bundles of one model")
    if options.share != 1:
        ours = made_bundle(options.shape, place / "narrow", texts, width=options.share)
    with fresh_process() as pool:  # it imports paddle too
        pool.submit(write_model_repository, baseline, place / ORIGIN).result()
    return ours, baseline


def _choose(bundle: Bundle, runtime: str, precision: str) -> tuple[str, str]:
    """Runtime and precision of ours."""
    open_choice = (runtime, precision) == (AUTO, AUTO) and not bundle.manifest.gate
    return FASTEST if open_choice and not unavailable(*FASTEST) else resolve(bundle, runtime, precision)


def _publish(bundle: Path, model_repository: Path, runtime: str, precision: str, threads: int) -> None:
    """Publish as a user does; raises ClassifierError where that fails, after it has said why."""
    words = [sys.executable, "-m", "serving.publish", "--only", "triton", "--bundle", bundle.resolve()]
    words += [
        "--runtime",
        runtime,
        "--precision",
        precision,
        "--threads",
        threads,
        "--model_repository",
        model_repository,
    ]
    words += [word for name, value in WAITING.items() for word in (f"--{name}", value)]
    status = subprocess.run(list(map(str, words)), cwd=PROJECT, stdout=sys.stderr, check=False).returncode
    if status:
        raise ClassifierError(f"{bundle} could not be published (exit status {status})")


def _baseline_answers(bundle: Bundle, texts: Sequence[str]) -> Any:
    """What the baseline has to answer: the model in float32, decoded by a threshold of 0.5 alone."""
    with InProcess(bundle.path, "onnxruntime", "float32", None) as reference:
        logits = reference.logits(texts)
    return Decoder(bundle.hierarchy, 0.5, DecodingPolicy("threshold")).decode(logits)
