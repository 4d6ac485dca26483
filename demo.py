"""From labelled texts to answers of a real Triton server, by the commands that a user would type.

python demo.py                          on a generated sample of synthetic news sentences
python demo.py --dataset_dir data       on a dataset folder
"""

from __future__ import annotations

import itertools
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.quality.linear_baseline import evaluate_baseline
from clients.http_client import HttpClient
from clients.triton import TritonClient
from pipeline.command import run
from pipeline.errors import ClassifierError, EnvironmentFault
from pipeline.files.dataset import LABEL_FILE, Example, evaluation_file, read_examples, read_labels
from pipeline.labels.answers import Prediction
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.metrics.sets import Metrics
from pipeline.options import Options, option, parse
from pipeline.output import as_tree, counted
from serving.folders import MODEL_REPOSITORY, PROJECT, build_dir, paddle_folder
from serving.paddle.environment import serving_python
from serving.paddle.server import PaddlePorts, PaddleServer
from serving.process.ports import Ports
from serving.servers import PlaceOptions
from serving.triton.server.installation import find_triton
from serving.triton.server.launcher import TritonServer
from training.loop.options import TrainingRun
from training.loop.recipe import NEEDS_MEAN, measure, schedule

SHOWN_TEXTS = 3

TRAINING = "--warmup --warmup_steps 200 --weight_decay 0.01 --token_dropout 0.1"
SAMPLE_TRAINING = f"--model_name scratch-tiny --learning_rate 1e-3 --epochs 12 {TRAINING}"
SCRATCH_TRAINING = f"--model_name scratch-small --learning_rate 8e-4 --epochs 8 {TRAINING}"
ENCODER = "build/e5"
ENCODER_TRAINING = f"--model_name {ENCODER} --recipe auto --early_stop --thresholds global"
MOST_MINUTES = 45
MINUTES_PER_WORD = 1e-5
"""Of an epoch on two cores, where the upper half of the layers learns; measured on DuEE 1.0."""
EPOCH_MINUTES = 0.1
"""Of writing what an epoch has reached."""
FIRST_PASS = 1 / 3
"""Epochs that the lower half costs, once."""


@dataclass(frozen=True)
class Served:
    """What came back from the server: scores over all texts, all answers, and a few of them to show."""

    version: str
    scores: dict[str, Any]
    answers: list[frozenset[str]]
    shown: list[tuple[str, list[Prediction]]]


@dataclass(frozen=True)
class DemoOptions(Options):
    """What to train on, and where the results are written."""

    dataset_dir: Path | None = option(None, "a dataset folder (a generated sample)")
    output_dir: Path | None = option(
        None, "where checkpoint, bundle, the demo's own publications and logs are written (build/demo)"
    )
    model_repository: Path | None = option(
        None,
        "the folder that is given the bundle too if nothing is published there yet (the project's model_repository)",
    )
    training: str | None = option(
        None,
        f"options for training/train.py instead of the demo's own; on a dataset folder these take {ENCODER}, a "
        f"pretrained encoder, where it can be fetched and be trained in some {MOST_MINUTES} minutes",
    )


def demo(options: DemoOptions) -> dict[str, Any]:
    """Train, export, publish, serve, and compare with a linear baseline; the figures of the last line.

    Raises:
        ClassifierError: a step failed; it has said why.
    """
    started = time.monotonic()
    find_triton()  # a machine that runs no Triton says so now, not after the training
    output_dir = (options.output_dir or build_dir() / "demo").resolve()
    repository = output_dir / "model_repository"
    folder = (options.dataset_dir or output_dir / "sample").resolve()
    checkpoint, export = output_dir / "checkpoint", output_dir / "export"
    if not options.dataset_dir:
        step("Generate a sample dataset (synthetic sentences)")
        command("training/make_sample_dataset.py", "--output_dir", folder)
    hierarchy = read_labels(folder / LABEL_FILE)
    test_path = evaluation_file(folder)
    step("Train")
    training = options.training or (choose_training(folder, hierarchy) if options.dataset_dir else SAMPLE_TRAINING)
    places = ("--dataset_dir", folder, "--save_dir", checkpoint)
    command("training/train.py", *places, "--overwrite", *shlex.split(training))
    step("Export: static graph, ONNX graph, bundle")
    command("training/export_model.py", "--params_path", checkpoint, "--output_path", export)
    step("Publish for Triton and for Paddle Serving")
    publish = ("-m", "serving.publish", "--bundle", export)
    command(*publish, "--model_repository", repository)
    step("Serve with Triton and classify the test texts")
    served = serve_and_classify(repository, test_path, hierarchy, output_dir)
    step("Serve the same bundle with Paddle Serving")
    differing = compare_paddle_serving(paddle_folder(repository), test_path, hierarchy, served.answers, output_dir)
    step("Compare with a linear baseline (TF-IDF + linear SVM)")
    baseline = evaluate_baseline(folder, hierarchy)
    show(served, baseline)
    print(offer(export, options.model_repository or MODEL_REPOSITORY, repository))
    return figures(served, baseline, differing, time.monotonic() - started)


def choose_training(folder: Path, hierarchy: LabelHierarchy) -> str:
    """Options to train on a dataset folder with: a pretrained encoder where it is to be had and soon done.

    Raises:
        ClassifierError: the training file cannot be used.
    """
    minutes = expected_minutes(folder, hierarchy)
    if minutes > MOST_MINUTES:
        print(f"from nothing: {ENCODER}, which is pretrained, would take about {minutes:.0f} minutes")
        return SCRATCH_TRAINING
    if not (PROJECT / ENCODER / "config.json").exists():
        print(f"{ENCODER}, a pretrained encoder, is fetched", flush=True)
        if subprocess.run(["make", "--no-print-directory", "e5"], cwd=PROJECT, check=False).returncode:
            print(f"from nothing: {ENCODER}, which is pretrained, cannot be fetched")
            return SCRATCH_TRAINING
    print(f"with {ENCODER}, which is pretrained: about {counted(max(1, round(minutes)), 'minute')}", flush=True)
    return ENCODER_TRAINING


def expected_minutes(folder: Path, hierarchy: LabelHierarchy) -> float:
    """Of training with ENCODER on this machine."""
    data = measure(TrainingRun(dataset_dir=folder), hierarchy)
    _, _, epochs = schedule(NEEDS_MEAN, data.rows)
    words = data.rows * data.words * (epochs + FIRST_PASS)
    return words * MINUTES_PER_WORD * max(1, 2 / len(os.sched_getaffinity(0))) + epochs * EPOCH_MINUTES


def parse_args(argv: Sequence[str] | None) -> DemoOptions:
    return parse(DemoOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    print(json.dumps(demo(parse_args(argv))))


def step(title: str) -> None:
    print(f"\n== {title}", flush=True)


def command(*arguments: object) -> None:
    """Run one of the project's commands, shown as a user would type it.

    Raises:
        ClassifierError: it failed; it has said why.
    """
    words = [str(argument) for argument in arguments]
    print("$ python " + shlex.join(map(shortened, words)), flush=True)
    status = subprocess.run([sys.executable, *words], cwd=PROJECT, check=False).returncode
    if status:
        raise ClassifierError(f"{words[0]} ended with status {status}; the demo stops here")


def serve_and_classify(model_repository: Path, test_path: Path, hierarchy: LabelHierarchy, state_dir: Path) -> Served:
    """Start a server on free ports, classify a labelled file, stop the server."""
    with TritonServer(model_repository, ports=Ports.free(), state_dir=state_dir) as server:
        seconds = server.wait_ready()
        with TritonClient(server.grpc_address) as client:
            version = client.server_version()
            print(f"Triton {version} on {server.grpc_address}, ready after {seconds:.1f} s")
            return Served(version, *score(client, read_examples(test_path, hierarchy), hierarchy))


def compare_paddle_serving(
    folder: Path,
    test_path: Path,
    hierarchy: LabelHierarchy,
    answers: Sequence[frozenset[str]],
    state_dir: Path,
) -> int | None:
    """How many texts of a labelled file get other labels from Paddle Serving; None where it cannot run here."""
    try:
        serving_python()
    except EnvironmentFault as fault:
        print(f"skipped: {fault}")
        return None
    with PaddleServer(folder, PaddlePorts.free(), state_dir=state_dir) as server:
        seconds = server.wait_ready()
        print(f"Paddle Serving on {server.rpc_address} and {server.http_address}, ready after {seconds:.1f} s")
        with HttpClient(server.http_address) as client:
            started = time.monotonic()
            texts = (example.text for example in read_examples(test_path, hierarchy))
            own = [frozenset(each.label for each in row) for _, row in client.classify_stream(texts)]
    rate = len(own) / (time.monotonic() - started)
    differing = sum(mine != other for mine, other in zip(own, answers))
    print(f"{len(own)} texts classified, {rate:.0f} a second; {differing} of them get other labels than from Triton")
    return differing


def score(
    client: TritonClient, examples: Iterator[Example], hierarchy: LabelHierarchy
) -> tuple[dict[str, Any], list[frozenset[str]], list[tuple[str, list[Prediction]]]]:
    """Scores of the server's answers, the answers, and the first few of them along with their texts."""
    metrics = Metrics(hierarchy)
    answers, shown = [], []
    sent, known = itertools.tee(examples)
    started = time.monotonic()
    for (text, predictions), example in zip(client.classify_stream(example.text for example in sent), known):
        predicted = [hierarchy.index[prediction.label] for prediction in predictions]
        metrics.update(hierarchy.matrix([example.labels]), hierarchy.matrix([predicted]))
        answers.append(frozenset(prediction.label for prediction in predictions))
        if len(shown) < SHOWN_TEXTS:
            shown.append((text, predictions))
    print(f"{metrics.texts} texts classified, {metrics.texts / (time.monotonic() - started):.0f} a second")
    return metrics.result(), answers, shown


def show(served: Served, baseline: dict[str, Any]) -> None:
    """Print some answers, and the scores beside the baseline's."""
    print()
    for text, predictions in served.shown:
        print(as_tree(text, predictions))
    print(f"\n{'on the test texts':28}{'micro F1':>10}{'macro F1':>10}{'consistent':>12}")
    for name, scores in (("served by Triton", served.scores), ("TF-IDF + linear SVM", baseline)):
        print(f"{name:28}{scores['micro_f1']:10.4f}{scores['macro_f1']:10.4f}{scores['consistent_share']:12.4f}")
    print()


def offer(bundle: Path, repository: Path, own: Path) -> str:
    """How to go on with the demo's model. Where nothing is published yet it is, and what is served stays as it is."""
    places = PlaceOptions(model_repository=repository)
    if any(each.live() for each in places.deployments()):
        return (
            f"{repository} holds a published model, and still does: `make serve MODEL_REPOSITORY={shortened(own)}` "
            f"serves the demo's, `.venv/bin/python -m serving.publish --bundle {shortened(bundle)}` publishes it "
            "in its place\n"
        )
    step("Publish for `make serve` and `make serve-paddle`")
    command("-m", "serving.publish", "--bundle", bundle, "--model_repository", repository)
    return "\n`make serve` serves this model; `.venv/bin/python -m clients.triton TEXT` asks it.\n"


def shortened(path: Path | str) -> str:
    """`path` as one would type it in the project's folder."""
    return str(path).removeprefix(f"{PROJECT}/")


def figures(served: Served, baseline: dict[str, Any], differing: int | None, seconds: float) -> dict[str, Any]:
    """The last line."""
    line = {
        **{name: round(served.scores[name], 4) for name in ("micro_f1", "macro_f1", "consistent_share")},
        "triton_version": served.version,
        "texts": served.scores["texts"],
        "seconds": round(seconds, 1),
        **{f"baseline_{name}": round(baseline[name], 4) for name in ("micro_f1", "macro_f1")},
    }
    return line if differing is None else {**line, "paddle_serving_differs": differing}


if __name__ == "__main__":
    run(main)
