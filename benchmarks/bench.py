"""Measure what the pages state, part by part; each part writes its own JSON.

    python -m benchmarks.bench --quick            serving against the baseline alone, in under five minutes
    python -m benchmarks.bench                    every part, about an hour
    python -m benchmarks.bench --parts load growth --dataset_dir data
    python -m benchmarks.bench --url 10.0.0.1:8001 --dataset_dir data         a server that runs already, alone

A part that fails is named at the end and does not stop the others; `--parts` measures it again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Callable

from benchmarks import report
from benchmarks.records import PROJECT, RESULTS, read_record
from benchmarks.tables import TABLES
from pipeline.command import run
from pipeline.errors import ClassifierError, EnvironmentFault, InputError
from pipeline.files.dataset import TEST_FILE

SERVING, LOAD = "serving", "load"
OWN_RESULTS = PROJECT / "build" / "bench"
"""Of runs that are not for the pages: short ones, and those of a server of the user's own."""
QUICK_SERVING = ("--rounds", "5", "--seconds", "2.5", "--texts_per_pass", "64", "--budget_seconds", "200")
WHOLE_SERVING = ("--rounds", "5", "--seconds", "5")

PARTS: dict[str, Callable[[argparse.Namespace], list[str]]] = {
    SERVING: lambda args: [
        "benchmarks.serving.throughput",
        *(QUICK_SERVING if args.quick else WHOLE_SERVING),
        *_texts(args),
    ],
    "limit": lambda args: ["benchmarks.compute.limit", *_texts(args)],
    LOAD: lambda args: ["benchmarks.serving.load", *(("--url", args.url) if args.url else ()), *_texts(args)],
    "growth": lambda args: ["benchmarks.serving.growth"],
    "frontier": lambda args: ["benchmarks.quality.frontier", *_texts(args), *_linear(args)],
    "paddle_serving": lambda args: ["benchmarks.paddle.serving", *_texts(args, "--file")],
    "peers": lambda args: ["benchmarks.peers.peers", *_texts(args)],
    "precision_speed": lambda args: ["benchmarks.compute.precision_speed"],
}
"""Each part's module and options, beside `--output_file`, which names the part."""


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--quick", action="store_true", help="serving against the baseline alone, with short turns")
    add("--parts", nargs="+", choices=tuple(PARTS), default=list(PARTS), help="what is measured (all)")
    add("--url", help="gRPC host:port of a server of your own: load on it, without a baseline")
    add("--dataset_dir", type=Path, help="a dataset folder whose test.txt is sent (default: a generated sample)")
    add("--texts", type=Path, help="instead: a file with a text per line, or the rows of a labelled file")
    add(
        "--output_dir",
        type=Path,
        help=f"for the JSON files ({_shown(RESULTS)}; else {_shown(OWN_RESULTS)})",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    if args.dataset_dir and args.texts:
        raise InputError("--dataset_dir and --texts both say what is sent; give one of them")
    if args.texts and not args.texts.is_file():
        raise InputError(f"--texts {args.texts} is no file")
    if args.dataset_dir and not (args.dataset_dir / TEST_FILE).is_file():
        raise InputError(f"--dataset_dir {args.dataset_dir} has no {TEST_FILE}, whose texts would be sent")
    if args.quick and args.url:
        raise InputError("--quick compares ours with the baseline and --url measures another server; give one of them")
    folder = args.output_dir or (OWN_RESULTS if args.quick or args.url else RESULTS)
    parts = [SERVING] if args.quick else [LOAD] if args.url else args.parts
    failed = [part for part in parts if not measure(part, args, folder)]
    if any((folder / f"{part}.json").is_file() for part in TABLES):
        report.main(["--results_dir", str(folder)])
    if SERVING in parts and SERVING not in failed and (folder / f"{SERVING}.json").is_file():
        print(json.dumps(headline(read_record(folder / f"{SERVING}.json"))))
    if failed:
        again = f"python -m benchmarks.bench --parts {' '.join(failed)}"
        raise ClassifierError(f"{', '.join(failed)} failed, see above why; `{again}` measures what is missing")


def measure(part: str, args: argparse.Namespace, folder: Path) -> bool:
    """Run a part to its end; whether it went well, or was skipped for what this machine lacks, as it has said."""
    words = [*PARTS[part](args), "--output_file", str((folder / f"{part}.json").resolve())]
    print(f"== {part}: python -m {' '.join(words)}", flush=True)
    started = time.monotonic()
    status = subprocess.run([sys.executable, "-m", *words], cwd=PROJECT, check=False).returncode
    outcome = {0: "done", EnvironmentFault.exit_status: "skipped"}.get(status, f"failed (exit status {status})")
    print(f"== {part}: {outcome} after {time.monotonic() - started:.0f} s", flush=True)
    return not outcome.startswith("failed")


def headline(serving: Mapping[str, Any]) -> dict[str, Any]:
    """The figures that matter most, medians over the rounds; those that the machine was too noisy for are named."""
    named = {
        "throughput_ratio_c32": "throughput_ratio_c32",
        "p50_ratio_c1": "p50_ratio_c1",
        "share_of_in_process_c32": "share_of_in_process_c32",
        "share_of_limit": "share_of_limit_c32",
    }
    summary = serving["summary"]
    figures = {name: summary[key]["median"] if key in summary else None for name, key in named.items()}
    noisy = [name for name, key in named.items() if summary.get(key, {}).get("noisy")]
    return {**figures, "pairs": len(serving["rounds"]), "noisy": noisy}


def _texts(args: argparse.Namespace, option: str = "--texts") -> list[str]:
    path = args.dataset_dir / TEST_FILE if args.dataset_dir else args.texts
    return [option, str(path.resolve())] if path else []


def _linear(args: argparse.Namespace) -> list[str]:
    return ["--linear", str(args.dataset_dir.resolve())] if args.dataset_dir else []


def _shown(path: Path) -> str:
    return str(path.relative_to(PROJECT))


if __name__ == "__main__":
    run(main)
