"""Throughput and latency of the Triton ensemble, beside the design that a user has today.

    python -m benchmarks.triton_throughput --texts data/test.txt --output_file results.json

Three take turns on the same texts: the ensemble as `serving.publish` writes it, the baseline of
`benchmarks.origin_design`, and the offline predictor with the ensemble's bundle. Both servers stay up; who is not
measured has nothing to do, and its processor time is watched. What counts are the ratios within a round.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

from benchmarks.in_process import InProcess, fresh_process
from benchmarks.matrix_products import MatrixProducts, count_work
from benchmarks.origin_design import write_model_repository
from benchmarks.random_model import create_bundle
from benchmarks.records import PROJECT, environment, write_record
from benchmarks.turns import ORIGIN, OURS, Contestants, check_answers, report, summarise
from pipeline.bundle import Bundle
from pipeline.command import run
from pipeline.dataset import TEST_FILE, read_lines
from pipeline.decoding import Decoder, DecodingPolicy
from pipeline.errors import ClassifierError, DatasetError, InputError
from pipeline.normalisation import normalise, text_fault
from pipeline.runtimes import AUTO, PRECISIONS, RUNTIMES, resolve, unavailable
from pipeline.runtimes.openvino_runtime import ELEMENT_TYPES
from serving.triton import Ports, TritonServer
from training.make_sample_dataset import SampleDataset, SampleOptions
from training.model.model_names import SCRATCH
from training.pruning.width import kept, parse_widths

FASTEST = ("openvino", "bfloat16")
"""What is served of a bundle that no release gate has chosen for, where the machine can."""
SEED = 3
READY_SECONDS = 180.0


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--texts", type=Path, help="a text per line, or the rows of a labelled file (default: a generated sample)")
    add("--bundle", type=Path, help="what is served (default: a model of --shape with random weights)")
    add("--baseline_bundle", type=Path, help="what the baseline serves, such as the unpruned model (default: --bundle)")
    add("--shape", choices=tuple(SCRATCH), default="scratch-medium", help="without --bundle (%(default)s)")
    add("--width", default="1", help="share of its heads and neurons that ours has, such as 2/3 (%(default)s)")
    add("--runtime", choices=(AUTO, *RUNTIMES), default=AUTO, help="ours; auto: the gate's choice, else the fastest")
    add("--precision", choices=(AUTO, *PRECISIONS), default=AUTO, help="likewise")
    add("--threads", type=int, default=0, help="ours; processor threads of the model, 0: one per core (%(default)s)")
    add("--concurrency", type=int, nargs="+", default=[1, 32], help="requests under way at once (1 32)")
    add("--rounds", type=int, default=5, help="in which all take a turn at each concurrency (%(default)s)")
    add("--budget_seconds", type=float, default=3600.0, help="fewer rounds where they take longer (%(default)s)")
    add("--seconds", type=float, default=8.0, help="that a turn should take at least (%(default)s)")
    add(
        "--texts_per_pass",
        type=int,
        default=256,
        help="texts drawn from the file; a turn is whole passes (%(default)s)",
    )
    add("--output_file", type=Path, help="where the results are written as JSON")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    width = check(args)
    texts = read_texts(args.texts)
    random.Random(SEED).shuffle(texts)
    about = environment()
    with tempfile.TemporaryDirectory(prefix="triton-throughput-") as folder, ExitStack() as stack:
        place = Path(folder)
        print("preparing the models", file=sys.stderr)
        ours, baseline = prepare(args, width, texts, place)
        measured = [normalise(text, ours.manifest.normalisation) for text in texts[: args.texts_per_pass]]
        runtime, precision = choose(ours, args.runtime, args.precision)
        publish(ours.path, place / OURS, runtime, precision, args.threads)
        servers, ready = {}, {}
        for name in (OURS, ORIGIN):
            state = place / f"{name}-state"
            servers[name] = stack.enter_context(TritonServer(place / name, ports=Ports.free(), state_dir=state))
            ready[name] = round(servers[name].wait_ready(READY_SECONDS), 1)
        predictor = stack.enter_context(InProcess(ours.path, runtime, precision, args.threads or None))
        agreement = {
            OURS: check_answers(servers[OURS], measured, ours.decoder().decode(predictor.logits(measured))),
            ORIGIN: check_answers(servers[ORIGIN], measured, baseline_answers(baseline, measured)),
        }
        lengths = [len(row) for row in ours.encoder().encode(measured)]
        flop_per_text, limit = count_work(ours).flop(sum(lengths) / len(lengths)), None
        if precision in ELEMENT_TYPES:
            products = stack.enter_context(MatrixProducts(precision, args.threads or None))
            limit = lambda: products.flop_per_second() / flop_per_text  # noqa: E731
        contestants = Contestants(servers, predictor, measured, place, limit)
        rounds = contestants.measure(args.concurrency, args.rounds, args.seconds, args.budget_seconds)
    results = {
        "environment": about,
        "runtime": runtime,
        "precision": precision,
        "width": ours.manifest.width,
        "model": ours.manifest.model_name,
        "labels": len(ours.hierarchy),
        "texts": args.texts.name if args.texts else "generated sample",
        "tokens per text": round(sum(lengths) / len(lengths), 1),
        "GFLOP per text": round(flop_per_text / 1e9, 3),
        "seconds until ready": ready,
        "equal label sets": agreement,
        "summary": summarise(rounds),
        "rounds": rounds,
    }
    report(results)
    if args.output_file:
        write_record(args.output_file, results)
    medians = {name: figure["median"] for name, figure in results["summary"].items()}
    noisy = [name for name, figure in results["summary"].items() if figure["noisy"]]
    print(json.dumps({**medians, "pairs": len(rounds), "noisy": noisy}))


def check(args: argparse.Namespace) -> Fraction:
    """The width; raises InputError for what cannot be measured."""
    for name in ("rounds", "texts_per_pass"):
        if getattr(args, name) < 1:
            raise InputError(f"--{name} is {getattr(args, name)}; give at least 1")
    if min(args.concurrency) < 1:
        raise InputError(f"--concurrency is {min(args.concurrency)}; give at least 1")
    if not 0 < args.seconds <= 300:
        raise InputError(f"--seconds is {args.seconds:g}; give more than 0 and at most 300")
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


def prepare(args: argparse.Namespace, width: Fraction, texts: Sequence[str], place: Path) -> tuple[Bundle, Bundle]:
    """The bundle that we serve, and the baseline's, whose model repository is written too."""
    # In a process of its own: paddle sets variables that would limit the threads of whatever is started from here.
    with fresh_process() as pool:
        if args.bundle:
            ours = Bundle(args.bundle)
            baseline = Bundle(args.baseline_bundle or args.bundle)
            if ours.manifest.labels != baseline.manifest.labels:
                raise InputError(f"{ours.path} and {baseline.path} have different labels; give bundles of one model")
        else:
            ours = baseline = pool.submit(create_bundle, args.shape, place / "bundle", texts).result()
            if width != 1:
                ours = pool.submit(create_bundle, args.shape, place / "narrow", texts, width).result()
        pool.submit(write_model_repository, baseline, place / ORIGIN).result()
    return ours, baseline


def choose(bundle: Bundle, runtime: str, precision: str) -> tuple[str, str]:
    """Runtime and precision of ours."""
    open_choice = (runtime, precision) == (AUTO, AUTO) and not bundle.manifest.gate
    return FASTEST if open_choice and not unavailable(*FASTEST) else resolve(bundle, runtime, precision)


def publish(bundle: Path, model_repository: Path, runtime: str, precision: str, threads: int) -> None:
    """Publish as a user does; raises ClassifierError where that fails, after it has said why."""
    words = [sys.executable, "-m", "serving.publish", "--bundle", bundle.resolve(), "--runtime", runtime]
    words += ["--precision", precision, "--threads", threads, "--model_repository", model_repository]
    status = subprocess.run(list(map(str, words)), cwd=PROJECT, stdout=sys.stderr, check=False).returncode
    if status:
        raise ClassifierError(f"{bundle} could not be published (exit status {status})")


def baseline_answers(bundle: Bundle, texts: Sequence[str]) -> Any:
    """What the baseline has to answer: the model in float32, decoded by a threshold of 0.5 alone."""
    with InProcess(bundle.path, "onnxruntime", "float32", None) as reference:
        logits = reference.logits(texts)
    return Decoder(bundle.hierarchy, 0.5, DecodingPolicy("threshold")).decode(logits)


if __name__ == "__main__":
    run(main)
