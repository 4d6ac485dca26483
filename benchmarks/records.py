"""Records of measurements: figures with the machine that they are of, as JSON files."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.files.atomic import atomic_writer

PROJECT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results"
"""Of the runs whose figures stand in README.md and docs."""
WRITTEN = ("benchmarks/results", "README.md", "README.zh-CN.md", "docs")
"""What measuring changes itself."""
PACKAGES = (
    "nvidia-pytriton",
    "tritonclient",
    "openvino",
    "onnxruntime",
    "onnxruntime-gpu",
    "paddlepaddle",
    "paddlepaddle-gpu",
    "paddlenlp",
    "paddleslim",
    "tokenizers",
)


def environment() -> dict[str, Any]:
    """The machine, what runs on it, and of which commit."""
    from training.gate.run import processor  # the rest of this module is there in other libraries' environments too

    commit = _git("rev-parse", "--short", "HEAD")
    changed = _git("status", "--porcelain", "--", ".", *(f":!{path}" for path in WRITTEN))
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load average before": round(os.getloadavg()[0], 2),
        "commit": f"{commit}-dirty" if changed else commit,
        "versions": {package: version for package in PACKAGES if (version := _version(package))},
    }


def _version(package: str) -> str | None:
    """None where it is not installed: packages for GPUs take the place of those for CPUs."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=PROJECT, capture_output=True, check=False)
    return done.stdout.decode().strip()


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record atomically."""
    with atomic_writer(path) as stream:
        stream.write((json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode())


def read_record(path: Path) -> dict[str, Any]:
    """A record that `write_record` wrote.

    Raises:
        InputError: the file is not there, or holds none.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}; measure it again") from error
    if not isinstance(record, dict):
        raise InputError(f"{path} holds no JSON object; measure it again")
    return record
