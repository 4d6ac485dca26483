"""Measure what the pages state, part by part; each part writes its own JSON.

    python -m benchmarks.bench --quick            serving against the baseline alone, in under five minutes
    python -m benchmarks.bench                    every part, about an hour and a half
    python -m benchmarks.bench --parts load growth --dataset_dir data
    python -m benchmarks.bench --url 10.0.0.1:8001 --dataset_dir data         a server that runs already, alone

A part that fails is named at the end and does not stop the others; `--parts` measures it again.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from benchmarks import report
from benchmarks.records import PROJECT, RESULTS, read_record
from benchmarks.rounds import impossible, noisy
from benchmarks.tables import TABLES
from benchmarks.texts import SAMPLE
from pipeline.command import run
from pipeline.errors import ClassifierError, EnvironmentFault, InputError
from pipeline.files.dataset import TEST_FILE
from pipeline.options import Options, option, parse

SERVING, LOAD = "serving", "load"
OWN_RESULTS = PROJECT / "build" / "bench"
"""Of runs that are not for the pages: short ones, and those of a server of the user's own."""
QUICK_SERVING = ("--rounds", "5", "--seconds", "2.5", "--texts_per_pass", "64", "--budget_seconds", "200")
WHOLE_SERVING = ("--rounds", "5", "--seconds", "5")


def _shown(path: Path) -> str:
    return str(path.relative_to(PROJECT))


PARTS: dict[str, Callable[[BenchOptions], list[str]]] = {
    SERVING: lambda options: [
        "benchmarks.serving.throughput",
        *(QUICK_SERVING if options.quick else WHOLE_SERVING),
        *options.sent(),
    ],
    "serving_narrow": lambda options: [*PARTS[SERVING](options), "--width", "2/3"],
    "serving_e5": lambda options: [*PARTS[SERVING](options), "--shape", "multilingual-e5-small"],
    "limit": lambda options: ["benchmarks.compute.limit", *options.sent()],
    LOAD: lambda options: [
        "benchmarks.serving.load",
        *(("--url", options.url) if options.url else ()),
        *options.sent(),
    ],
    "growth": lambda options: ["benchmarks.serving.growth"],
    "frontier": lambda options: ["benchmarks.quality.frontier", *options.sent(), *options.linear()],
    "paddle_serving": lambda options: ["benchmarks.paddle.throughput", *options.sent()],
    "peers": lambda options: ["benchmarks.peers.comparison", *options.sent()],
    "precision_speed": lambda options: ["benchmarks.compute.precision_speed"],
    "scaling": lambda options: ["benchmarks.serving.scaling"],
}
"""Each part's module and options, beside `--output_file`, which names the part."""


@dataclass(frozen=True)
class BenchOptions(Options):
    """What is measured, on which texts."""

    quick: bool = option(False, "measure serving against the baseline alone, with short turns")
    parts: tuple[str, ...] = option(tuple(PARTS), "parts that are measured", choices=tuple(PARTS))
    url: str | None = option(None, "gRPC host:port of a server of your own, which gets the load without a baseline")
    dataset_dir: Path | None = option(None, f"dataset folder whose {TEST_FILE} is sent ({SAMPLE})")
    texts: Path | None = option(None, "file with a text per line, or with labelled rows, that is sent")
    output_dir: Path | None = option(
        None, f"folder for the JSON files ({_shown(RESULTS)}; {_shown(OWN_RESULTS)} with --quick or --url)"
    )

    def check(self) -> None:
        super().check()
        if self.dataset_dir and self.texts:
            raise InputError("--dataset_dir and --texts both say what is sent; give one of them")
        if self.texts and not self.texts.is_file():
            raise InputError(f"--texts {self.texts} is no file")
        if self.dataset_dir and not (self.dataset_dir / TEST_FILE).is_file():
            raise InputError(f"--dataset_dir {self.dataset_dir} has no {TEST_FILE}, whose texts would be sent")
        if self.quick and self.url:
            raise InputError(
                "--quick compares ours with the baseline and --url measures another server; give one of them"
            )

    @property
    def folder(self) -> Path:
        """Where the JSON files go."""
        return self.output_dir or (OWN_RESULTS if self.quick or self.url else RESULTS)

    @property
    def chosen(self) -> Sequence[str]:
        """The parts that are measured."""
        return [SERVING] if self.quick else [LOAD] if self.url else self.parts

    def sent(self) -> list[str]:
        """The words that tell a part which texts to send."""
        path = self.dataset_dir / TEST_FILE if self.dataset_dir else self.texts
        return ["--texts", str(path.resolve())] if path else []

    def linear(self) -> list[str]:
        """The words that tell a part what to train the linear baseline on."""
        return ["--linear", str(self.dataset_dir.resolve())] if self.dataset_dir else []


def measure(options: BenchOptions) -> list[str]:
    """Measure the parts one after the other and write their records, tables and plots; returns those that failed."""
    failed = [part for part in options.chosen if not run_part(part, options)]
    if any((options.folder / f"{part}.json").is_file() for part in TABLES):
        report.write(report.ReportOptions(results_dir=options.folder))
    return failed


def run_part(part: str, options: BenchOptions) -> bool:
    """Run a part to its end; whether it went well, or was skipped for what this machine lacks, as it has said."""
    record = options.folder / f"{part}.json"
    words = [*PARTS[part](options), "--output_file", str(record.resolve())]
    print(f"== {part}: python -m {' '.join(words)}", flush=True)
    started = time.monotonic()
    status = subprocess.run([sys.executable, "-m", *words], cwd=PROJECT, check=False).returncode
    outcome = {0: "done", EnvironmentFault.exit_status: "skipped"}.get(status, f"failed (exit status {status})")
    print(f"== {part}: {outcome} after {time.monotonic() - started:.0f} s", flush=True)
    return not outcome.startswith("failed")


def headline(serving: Mapping[str, Any]) -> dict[str, Any]:
    """The figures that matter most, medians over the rounds; what is too noisy or cannot be is named."""
    named = {
        "throughput_ratio_c32": "throughput_ratio_c32",
        "p50_ratio_c1": "p50_ratio_c1",
        "share_of_in_process_c32": "share_of_in_process_c32",
        "share_of_limit": "share_of_limit_c32",
    }
    summary = serving["summary"]
    figures = {name: summary[key]["median"] if key in summary else None for name, key in named.items()}
    return {**figures, "pairs": len(serving["rounds"]), "noisy": noisy(summary), "impossible": impossible(summary)}


def parse_args(argv: Sequence[str] | None) -> BenchOptions:
    return parse(BenchOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    failed = measure(options)
    record = options.folder / f"{SERVING}.json"
    if SERVING in options.chosen and SERVING not in failed and record.is_file():
        print(json.dumps(headline(read_record(record))))
    if failed:
        again = f"python -m benchmarks.bench --parts {' '.join(failed)}"
        raise ClassifierError(f"{', '.join(failed)} failed, see above why; `{again}` measures what is missing")


if __name__ == "__main__":
    run(main)
