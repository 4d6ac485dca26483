"""This server and predictor beside what people pick from PyPI: transformers' pipeline on PyTorch, and LitServe.

    python -m venv build/peers && build/peers/bin/pip install torch transformers litserve
    python -m benchmarks.peers.peers --peers_python build/peers/bin/python --texts data/test.txt

All run an encoder of one shape, with random weights, and take turns. The servers get the same load from one HTTP
client, one text per request; LitServe runs the pipeline and joins waiting requests into batches of up to 32.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.compute.random_model import LENGTH
from benchmarks.records import PROJECT, environment, write_record
from benchmarks.serving.pair import add_pair_options, check_pair_options, serve_pair, shuffled_texts
from benchmarks.serving.turns import OURS, PAUSE_SECONDS, spread
from pipeline.command import run
from pipeline.errors import ClassifierError, EnvironmentFault, InputError
from pipeline.files.bundle import VOCABULARY_FILE, Bundle
from pipeline.tensors import ENSEMBLE, TEXT
from serving.process.ports import Ports
from training.model.model_names import SCRATCH

PEERS_PYTHON = PROJECT / "build" / "peers" / "bin" / "python"
PACKAGES = ("torch", "transformers", "litserve")
PRECISIONS = ("float32", "bfloat16")
READY_SECONDS = 120.0
CONCURRENCIES = (1, 32)
LITSERVE = "litserve"

Request = tuple[str, bytes]
"""Path and body."""


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add_pair_options(parser)
    add = parser.add_argument
    add("--peers_python", type=Path, default=PEERS_PYTHON, help="interpreter of their environment (build/peers)")
    add("--rounds", type=int, default=5, help="in which all take a turn (%(default)s)")
    add("--seconds", type=float, default=3.0, help="of a server's turn (%(default)s)")
    add("--output_file", type=Path, help="where the results are written as JSON")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    width = check_pair_options(args)
    if args.rounds < 1 or not 0 < args.seconds <= 300:
        raise InputError(f"--rounds is {args.rounds} and --seconds {args.seconds:g}; give at least 1, and 0 to 300")
    versions = peer_versions(args.peers_python)
    about, texts = environment(), shuffled_texts(args.texts)
    with tempfile.TemporaryDirectory(prefix="peers-") as place, ExitStack() as stack:
        pair = stack.enter_context(serve_pair(args, width, texts, Path(place)))
        model = write_model(pair.bundle, args.shape, Path(place) / "bert")
        pipelines = {
            f"transformers {precision}": stack.enter_context(pipeline_worker(args.peers_python, model, precision))
            for precision in PRECISIONS
        }
        port = stack.enter_context(litserve_server(args.peers_python, model, "bfloat16"))
        servers = {
            OURS: (pair.servers[OURS].ports.http, [triton_request(text) for text in pair.texts]),
            LITSERVE: (port, [litserve_request(text) for text in pair.texts]),
        }
        rounds = []
        for number in range(args.rounds + 1):  # the first is not counted
            print(f"round {number} of {args.rounds}", file=sys.stderr)
            found: dict[str, float] = {}
            for concurrency in CONCURRENCIES:
                for name, (address, requests) in servers.items():
                    time.sleep(PAUSE_SECONDS)
                    for key, value in http_load(address, requests, concurrency, args.seconds).items():
                        found[f"{name} c{concurrency} {key}"] = value
            time.sleep(PAUSE_SECONDS)
            found["predictor texts/s"] = len(pair.texts) / sum(pair.predictor.seconds(pair.texts, len(pair.texts)))
            for name, worker in pipelines.items():
                time.sleep(PAUSE_SECONDS)
                found[f"{name} texts/s"] = len(pair.texts) / worker.seconds(pair.texts)
            rounds.append(found)
        described = pair.about(args)
    rounds = rounds[1:]
    summary = {name: spread([found[name] for found in rounds]) for name in rounds[0]}
    ratios = {
        name: spread([found[ours] / found[theirs] for found in rounds])
        for name, ours, theirs in (
            ("throughput_ratio_c32 to litserve", f"{OURS} c32 texts/s", f"{LITSERVE} c32 texts/s"),
            ("p50_ratio_c1 to litserve", f"{OURS} c1 p50_ms", f"{LITSERVE} c1 p50_ms"),
            *((f"predictor to {name}", "predictor texts/s", f"{name} texts/s") for name in pipelines),
        )
    }
    for name, figure in {**summary, **ratios}.items():
        print(f"{name:<40}{figure['median']:>10.2f}{figure['lowest']:>10.2f}{figure['highest']:>10.2f}")
    results = {"environment": {**about, "peers": versions}, **described, "summary": summary, "ratios": ratios}
    if args.output_file:
        write_record(args.output_file, {**results, "rounds": rounds})
    print(json.dumps({**{name: figure["median"] for name, figure in ratios.items()}, "pairs": len(rounds)}))


def peer_versions(python: Path) -> dict[str, str]:
    """What the peers' environment holds.

    Raises:
        EnvironmentFault: there is none, or it lacks a package.
    """
    command = [str(python), "-c", f"import importlib.metadata as m; print(*map(m.version, {PACKAGES}))"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        raise EnvironmentFault(
            f"the peers are skipped: {python} does not have {', '.join(PACKAGES)}; `python -m venv build/peers && "
            f"build/peers/bin/pip install {' '.join(PACKAGES)}` makes an environment of their own"
        ) from None
    return dict(zip(PACKAGES, found))


def write_model(bundle: Bundle, shape: str, folder: Path) -> Path:
    """The configuration and vocabulary of a BERT like ours."""
    of = SCRATCH[shape]
    config = {
        "vocab_size": bundle.manifest.vocabulary_size,
        "hidden_size": of.hidden_size,
        "num_hidden_layers": of.layers,
        "num_attention_heads": of.heads,
        "intermediate_size": of.feed_forward_size,
        "hidden_act": "relu",
        "max_position_embeddings": LENGTH,
        "num_labels": len(bundle.hierarchy),
        "problem_type": "multi_label_classification",
    }
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (folder / "vocab.txt").write_bytes(bundle.file(VOCABULARY_FILE).read_bytes())
    return folder


class PipelineWorker:
    """The process of a pipeline, seen from outside."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._answer()

    def seconds(self, texts: Sequence[str]) -> float:
        """Of classifying all texts in one call."""
        assert self._process.stdin
        print(json.dumps(list(texts)), file=self._process.stdin, flush=True)
        return float(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise ClassifierError(f"the pipeline's process ended with status {self._process.wait()}; see above why")
        return line


@contextmanager
def pipeline_worker(python: Path, model: Path, precision: str) -> Iterator[PipelineWorker]:
    """A pipeline in a process of its own, ended with the block."""
    with _engine(
        "peer_engines", python, model, precision, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield PipelineWorker(process)


@contextmanager
def litserve_server(python: Path, model: Path, precision: str) -> Iterator[int]:
    """The port of a LitServe server, ended with the block."""
    port = Ports.free().http
    options: dict[str, Any] = {"stdout": subprocess.DEVNULL, "start_new_session": True}
    with _engine("peer_litserve", python, model, precision, "--port", str(port), **options) as process:
        deadline = time.monotonic() + READY_SECONDS
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise ClassifierError("LitServe did not start; see above why")
            time.sleep(0.5)
        yield port


@contextmanager
def _engine(
    module: str, python: Path, model: Path, precision: str, *more: str, **options: Any
) -> Iterator[subprocess.Popen[Any]]:
    words = [str(python), "-m", f"benchmarks.{module}", "--folder", str(model), "--precision", precision, *more]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    with subprocess.Popen(words, cwd=PROJECT, env=environment, **options) as process:
        try:
            yield process
        finally:
            if options.get("start_new_session"):
                os.killpg(process.pid, 9)  # LitServe's own processes survive it otherwise
            else:
                process.kill()


def _answers(port: int) -> bool:
    try:
        return http_load(port, [litserve_request("a")], 1, 0.01)["texts/s"] > 0
    except (OSError, ClassifierError):
        return False


def triton_request(text: str) -> Request:
    """One text for Triton's HTTP endpoint."""
    body = {"inputs": [{"name": TEXT, "shape": [1, 1], "datatype": "BYTES", "data": [text]}]}
    return f"/v2/models/{ENSEMBLE}/infer", json.dumps(body).encode()


def litserve_request(text: str) -> Request:
    """One text for LitServe."""
    return "/predict", json.dumps({"text": text}).encode()


def http_load(port: int, requests: Sequence[Request], concurrency: int, seconds: float) -> dict[str, float]:
    """Keep so many requests under way for so long; texts per second and the median latency.

    Raises:
        ClassifierError: an answer is no success.
    """
    taken: list[float] = []
    faults: list[str] = []
    started = time.monotonic()

    def ask(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            while time.monotonic() < started + seconds and not faults:
                path, body = requests[number % len(requests)]
                begun = time.monotonic()
                connection.request("POST", path, body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                said = response.read()
                if response.status != 200:
                    faults.append(f"port {port} answered {response.status}: {said[:200].decode(errors='replace')}")
                taken.append(time.monotonic() - begun)
                number += concurrency
        except OSError as error:
            faults.append(f"port {port}: {error}")
        finally:
            connection.close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise ClassifierError(faults[0])
    lasted = time.monotonic() - started
    return {"texts/s": len(taken) / lasted, "p50_ms": 1000 * float(np.median(taken))}


if __name__ == "__main__":
    run(main)
