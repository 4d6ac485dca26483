"""Paddle Serving, with this project's service and with the design of the original: throughput, and endurance.

    python -m benchmarks.paddle.serving --bundle export --file data/test.txt
    python -m benchmarks.paddle.serving --bundle export --file data/test.txt --rounds 0 --endurance_seconds 300

Both serve the same graph in turns, asked by the same clients over RPC. The file holds a text per line, or rows of a
dataset. Ends by printing one line of JSON; where it was asked for endurance, every answer is checked, and the service's
resident memory is read once a second.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.paddle.origin_service.server import BaselineServer
from benchmarks.records import environment, write_record
from benchmarks.serving.pair import made_bundle, shuffled_texts
from pipeline.command import run
from pipeline.errors import ServerError
from pipeline.files.bundle import Bundle
from pipeline.predictor import Predictor
from pipeline.text.normalisation import normalise
from serving.folders import PROJECT
from serving.paddle.configuration import PaddleOptions
from serving.paddle.environment import serving_python
from serving.paddle.publication import publish
from serving.paddle.server import PaddlePorts, PaddleServer
from serving.process.ports import free_ports
from training.model.model_names import SCRATCH

OURS, ORIGIN = "ours", "origin"
WARM_SECONDS = 2.0


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--bundle", type=Path, help="the bundle's folder (default: a model of --shape with random weights)")
    add("--shape", choices=tuple(SCRATCH), default="scratch-medium", help="without --bundle (%(default)s)")
    add("--file", type=Path, help="texts to send (default: a generated sample)")
    add("--clients", type=int, default=8, help="that ask at the same time (%(default)s)")
    add("--rounds", type=int, default=5, help="in which both take a turn (%(default)s)")
    add("--seconds", type=float, default=4.0, help="of a turn (%(default)s)")
    add("--endurance_seconds", type=float, default=0.0, help="of checked load on our service (%(default)s)")
    add("--output_file", type=Path, help="where the results are written as JSON")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    serving_python()  # says what to do where there is none, before anything is made
    sent = shuffled_texts(args.file)
    results: dict[str, Any] = {"environment": environment(), "clients": args.clients}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = Bundle(args.bundle) if args.bundle else made_bundle(args.shape, folder / "bundle", sent)
        results["model"] = bundle.manifest.model_name
        texts = [normalise(text, bundle.manifest.normalisation) for text in sent]
        load = Load(bundle, texts, folder, args.clients)
        publish(bundle, folder / "published", PaddleOptions())
        with PaddleServer(folder / "published", PaddlePorts.free(), state_dir=folder / "state") as ours:
            ours.wait_ready()
            if args.rounds:
                results.update(take_turns(ours, bundle, folder / "origin", load, args.rounds, args.seconds))
            if args.endurance_seconds:
                results["endurance"] = endure(ours, load, args.endurance_seconds)
    if args.output_file:
        write_record(args.output_file, results)
    print(json.dumps({name: value for name, value in results.items() if name != "environment"}))


class Load:
    """Runs benchmarks.paddle.load in .venv-serving on texts whose answers are known."""

    def __init__(self, bundle: Bundle, texts: Sequence[str], folder: Path, clients: int) -> None:
        self._texts, self._expected, self._clients = folder / "texts.txt", folder / "expected.jsonl", clients
        answers = Predictor(bundle).predict(texts)
        lines = [json.dumps([each.label for each in answer], ensure_ascii=False) for answer in answers]
        self._texts.write_text("\n".join(texts), encoding="utf-8")
        self._expected.write_text("\n".join(lines), encoding="utf-8")

    def start(self, url: str, seconds: float, texts: int = 1) -> subprocess.Popen[str]:
        words = ["--url", url, "--file", self._texts, "--expected", self._expected, "--clients", self._clients]
        words += ["--seconds", seconds, "--texts", texts]
        command = [str(serving_python()), "-W", "ignore", "-m", "benchmarks.paddle.load", *map(str, words)]
        return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)

    def run(self, url: str, seconds: float, texts: int = 1) -> dict[str, float]:
        return figures(self.start(url, seconds, texts))


def figures(process: subprocess.Popen[str]) -> dict[str, float]:
    """What a load printed; raises ServerError where it failed."""
    output, _ = process.communicate()
    if process.returncode:
        raise ServerError("the load failed; it has said why")
    return json.loads(output.splitlines()[-1])


def take_turns(
    ours: PaddleServer, bundle: Bundle, folder: Path, load: Load, rounds: int, seconds: float
) -> dict[str, Any]:
    """Medians of both services' figures, and of the ratio within a round."""
    (port,) = free_ports(1)
    with BaselineServer(bundle, port, folder) as origin:
        origin.wait_listening()
        urls = {OURS: ours.rpc_address, ORIGIN: origin.rpc_address}
        for url in urls.values():
            load.run(url, WARM_SECONDS)
        turns = [{name: load.run(url, seconds) for name, url in urls.items()} for _ in range(rounds)]
    ratios = [turn[OURS]["texts_per_second"] / turn[ORIGIN]["texts_per_second"] for turn in turns]
    for name in urls:
        rates = ", ".join(f"{turn[name]['texts_per_second']:.0f}" for turn in turns)
        print(f"{name:8} texts per second in each round: {rates}")
    print(f"ratio    {', '.join(f'{ratio:.1f}' for ratio in ratios)}")
    return {
        **{
            name: {key: statistics.median(turn[name][key] for turn in turns) for key in turns[0][name]} for name in urls
        },
        "ratio": round(statistics.median(ratios), 2),
        "ratio_range": [round(min(ratios), 2), round(max(ratios), 2)],
        "ours_32_texts_per_request": load.run(ours.rpc_address, seconds, 32),
    }


def endure(server: PaddleServer, load: Load, seconds: float) -> dict[str, Any]:
    """Checked load for so long, and the service's resident memory at its tenths, in MB."""
    load.run(server.rpc_address, WARM_SECONDS)
    process, memory = load.start(server.rpc_address, seconds), []
    while process.poll() is None:
        memory.append(resident_megabytes(server.pid))
        time.sleep(1.0)
    tenths = [memory[len(memory) * tenth // 10] for tenth in range(10)] + memory[-1:]
    print(f"resident memory, MB: {', '.join(f'{each:.0f}' for each in tenths)}")
    return {**figures(process), "resident_megabytes": tenths}


def resident_megabytes(pid: int) -> float:
    """Of a process alone, without its children."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return round(pages * 4096 / 1e6, 1)


if __name__ == "__main__":
    run(main)
