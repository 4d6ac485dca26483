"""This server and predictor beside what people pick from PyPI: transformers' pipeline on PyTorch, and LitServe.

    python -m venv build/peers && build/peers/bin/pip install torch transformers litserve
    python -m benchmarks.peers.comparison --texts data/test.txt

All run an encoder of one shape, with random weights, and take turns. The servers get the same load from one HTTP
client, one text per request; LitServe runs the pipeline and joins waiting requests into batches of up to 32.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.compute.random_model import LENGTH, SHAPES
from benchmarks.line_process import LineProcess, offline_environment
from benchmarks.options import RecordOptions, RoundsOptions
from benchmarks.peers.engines import PRECISIONS
from benchmarks.records import PROJECT, environment
from benchmarks.rounds import OURS, PAUSE_SECONDS, spread
from benchmarks.serving.pair import Pair, PairOptions, serve_pair
from pipeline.command import run
from pipeline.errors import ClassifierError, EnvironmentFault
from pipeline.files.bundle import Bundle
from pipeline.options import option, parse
from pipeline.tensors import ENSEMBLE, TEXT
from pipeline.text.wordpiece import VOCABULARY_FILE
from serving.process.ports import Ports

PACKAGES = ("torch", "transformers", "litserve")
READY_SECONDS = 120.0
CONCURRENCIES = (1, 32)
LITSERVE = "litserve"

Request = tuple[str, bytes]
"""Path and body."""


@dataclass(frozen=True)
class PeersOptions(PairOptions, RoundsOptions, RecordOptions):
    """Where the peers are, and how long turns are."""

    peers_python: Path = option("build/peers/bin/python", "interpreter of the peers' environment")
    seconds: float = option(3.0, "seconds of a server's turn", above=0, at_most=300)


def measure(options: PeersOptions) -> dict[str, Any]:
    """The record of all rounds.

    Raises:
        EnvironmentFault: the peers' environment is absent, or lacks a package.
        ClassifierError: a server or a pipeline fails.
    """
    versions, python = peer_versions(options.peers_python), options.peers_python.absolute()
    about, texts = environment(), options.shuffled()
    with tempfile.TemporaryDirectory(prefix="peers-") as place, ExitStack() as stack:
        pair = stack.enter_context(serve_pair(options, texts, Path(place)))
        model = write_model(pair.bundle, options.shape, Path(place) / "bert")
        pipelines = {
            f"transformers {precision}": stack.enter_context(pipeline_process(python, model, precision))
            for precision in PRECISIONS
        }
        port = stack.enter_context(litserve_server(python, model, "bfloat16"))
        servers = {
            OURS: (pair.servers[OURS].ports.http, [triton_request(text) for text in pair.texts]),
            LITSERVE: (port, [litserve_request(text) for text in pair.texts]),
        }
        rounds = []
        for number in range(options.rounds + 1):  # the first is not counted
            print(f"round {number} of {options.rounds}", file=sys.stderr)
            rounds.append(take_turns(servers, pair, pipelines, options.seconds))
        described = pair.about(options)
    rounds = rounds[1:]
    return {
        "environment": {**about, "peers": versions},
        **described,
        "summary": {name: spread([found[name] for found in rounds]) for name in rounds[0]},
        "ratios": {
            name: spread([found[ours] / found[theirs] for found in rounds])
            for name, ours, theirs in (
                ("throughput_ratio_c32 to litserve", f"{OURS} c32 texts/s", f"{LITSERVE} c32 texts/s"),
                ("p50_ratio_c1 to litserve", f"{OURS} c1 p50_ms", f"{LITSERVE} c1 p50_ms"),
                *((f"predictor to {name}", "predictor texts/s", f"{name} texts/s") for name in pipelines),
            )
        },
        "rounds": rounds,
    }


def take_turns(
    servers: Mapping[str, tuple[int, Sequence[Request]]],
    pair: Pair,
    pipelines: Mapping[str, LineProcess],
    seconds: float,
) -> dict[str, float]:
    """The figures of one round: of the servers by port and requests, of our predictor, and of the pipelines."""
    found: dict[str, float] = {}
    for concurrency in CONCURRENCIES:
        for name, (port, requests) in servers.items():
            time.sleep(PAUSE_SECONDS)
            for key, value in http_load(port, requests, concurrency, seconds).items():
                found[f"{name} c{concurrency} {key}"] = value
    time.sleep(PAUSE_SECONDS)
    found["predictor texts/s"] = len(pair.texts) / sum(pair.predictor.seconds(pair.texts, len(pair.texts)))
    for name, pipeline in pipelines.items():
        time.sleep(PAUSE_SECONDS)
        found[f"{name} texts/s"] = len(pair.texts) / pipeline.ask(pair.texts)
    return found


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
    of = SHAPES[shape]
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


def pipeline_process(python: Path, model: Path, precision: str) -> LineProcess:
    """A pipeline that answers texts with the seconds that classifying them takes."""
    return LineProcess("the pipeline", _words(python, "engines", model, precision))


@contextmanager
def litserve_server(python: Path, model: Path, precision: str) -> Iterator[int]:
    """The port of a LitServe server, ended with the block."""
    port = Ports.free().http
    words = [*_words(python, "litserve_server", model, precision), "--port", str(port)]
    options: dict[str, Any] = {"stdout": subprocess.DEVNULL, "start_new_session": True}
    with subprocess.Popen(words, cwd=PROJECT, env=offline_environment(), **options) as process:
        try:
            deadline = time.monotonic() + READY_SECONDS
            while not _answers(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise ClassifierError("LitServe did not start; see above why")
                time.sleep(0.5)
            yield port
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # LitServe's own processes survive it otherwise


def _words(python: Path, module: str, model: Path, precision: str) -> list[str]:
    return [str(python), "-m", f"benchmarks.peers.{module}", "--folder", str(model), "--precision", precision]


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
    return {"texts/s": len(taken) / lasted, "p50_ms": 1000 * float(np.median(taken or [np.nan]))}


def report(results: Mapping[str, Any]) -> None:
    """Print the table."""
    for name, figure in {**results["summary"], **results["ratios"]}.items():
        print(f"{name:<40}{figure['median']:>10.2f}{figure['lowest']:>10.2f}{figure['highest']:>10.2f}")


def parse_args(argv: Sequence[str] | None) -> PeersOptions:
    return parse(PeersOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    results = measure(options)
    options.write(results)
    report(results)
    medians = {name: figure["median"] for name, figure in results["ratios"].items()}
    print(json.dumps({**medians, "pairs": len(results["rounds"])}))


if __name__ == "__main__":
    run(main)
