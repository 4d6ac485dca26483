"""Load on a Triton server by the real perf_analyzer, which the tritonclient wheel carries, over gRPC.

A turn is a fixed number of requests, whole passes over the texts, so that two servers answer exactly the same. Figures
come from perf_analyzer's log of the single requests: for such a turn the table that it writes (`-f`) divides by the
time rounded up to its next look at the clock, which it takes twice a second.

perf_analyzer has no option to choose outputs: it requests every output that the model's configuration names.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import EnvironmentFault, ServerError
from pipeline.tensors import ENSEMBLE, TEXT

PROGRAM = "perf_analyzer"
LIBRARIES = {"libb64.so.0d": "libb64-*.so.0d", "libcudart.so.12": "libcudart-*.so.12*"}
"""What it links to, and the names under which the nvidia-pytriton wheel carries them."""
TIMEOUT_SECONDS = 180.0
"""For a turn of which nothing is known, and for a second try."""
PATIENCE, LEAST_SECONDS = 5.0, 20.0
"""A turn may take so many times what the one before says, and always so long."""


@dataclass(frozen=True)
class Turn:
    """What one turn found.

    Attributes:
        requests: how many were sent, all of them answered.
        throughput: requests per second, from the start of the first to the end of the last.
        p50_ms, p99_ms: latency of a request in milliseconds, as the client sees it.
    """

    requests: int
    throughput: float
    p50_ms: float
    p99_ms: float


class PerfAnalyzer:
    """Sends the same texts to servers.

    Args:
        texts: what the requests hold, in this order, again and again.
        folder: an existing folder for its files.

    Raises:
        EnvironmentFault: there is no perf_analyzer.
    """

    def __init__(self, texts: Sequence[str], folder: Path) -> None:
        self._program = _find_program()
        self._environment = {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(_library_path(folder / "libraries"))}
        self._input, self._log = folder / "texts.json", folder / "requests.json"
        data = {"data": [{TEXT: [text]} for text in texts]}
        self._input.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
        self._throughput: dict[tuple[str, int, int], float] = {}

    def turn(self, address: str, concurrency: int, requests: int, texts_per_request: int = 1) -> Turn:
        """Keep `concurrency` requests under way at the server at `address` (host:port) until `requests` are answered.

        Raises:
            ServerError: a request failed, or the load did not end, the second time within TIMEOUT_SECONDS.
            EnvironmentFault: perf_analyzer does not run here.
        """
        command = [self._program, "-m", ENSEMBLE, "-i", "grpc", "-u", address, "--input-data", str(self._input)]
        command += ["--concurrency-range", str(concurrency), "--request-count", str(requests)]
        command += ["-b", str(texts_per_request), "--profile-export-file", str(self._log)]
        setting = (address, concurrency, texts_per_request)
        seconds = patience(requests, self._throughput.get(setting))
        done = self._run(command, seconds)
        if done is None:
            print(f"{PROGRAM} did not end within {seconds:.0f} s; once more", file=sys.stderr)
            done = self._run(command, TIMEOUT_SECONDS)
        if done is None:
            raise ServerError(f"{address} did not answer {requests} requests within {TIMEOUT_SECONDS:g} s, twice")
        if "error while loading shared libraries" in done.stderr:
            raise EnvironmentFault(f"{PROGRAM} does not run here: {done.stderr.strip()}")
        if done.returncode:
            said = " ".join((done.stdout.splitlines() + done.stderr.splitlines())[-3:])
            raise ServerError(f"{PROGRAM} at {address} ended with status {done.returncode}: {said}")
        turn = summarise(json.loads(self._log.read_text(encoding="utf-8", errors="replace")), requests)
        self._throughput[setting] = turn.throughput
        return turn

    def _run(self, command: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str] | None:
        """None if it does not end: it was seen waiting for itself when all of its requests were answered."""
        self._log.unlink(missing_ok=True)
        try:
            return subprocess.run(
                command, env=self._environment, capture_output=True, text=True, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired:
            return None


def patience(requests: int, throughput: float | None) -> float:
    """Seconds that a turn may take; `throughput` of the turn before is in requests per second, None where none was."""
    if not throughput:
        return TIMEOUT_SECONDS
    return min(TIMEOUT_SECONDS, max(LEAST_SECONDS, PATIENCE * requests / throughput))


def summarise(log: Mapping[str, Any], requests: int) -> Turn:
    """The figures of a turn from perf_analyzer's log of it, whose times are in nanoseconds.

    Raises:
        ServerError: the log does not hold an answer to each of the `requests`.
    """
    (experiment,) = log["experiments"]
    answered = [entry for entry in experiment["requests"] if entry["response_timestamps"]]
    if len(answered) != requests:
        raise ServerError(f"{len(answered)} of {requests} requests were answered")
    starts = np.array([entry["timestamp"] for entry in answered])
    ends = np.array([entry["response_timestamps"][-1] for entry in answered])
    p50, p99 = np.percentile((ends - starts) / 1e6, [50, 99])
    seconds = float(ends.max() - starts.min()) / 1e9
    return Turn(requests, requests / seconds, float(p50), float(p99))


def _find_program() -> str:
    beside = Path(sys.executable).parent / PROGRAM
    program = str(beside) if beside.is_file() else shutil.which(PROGRAM)
    if not program:
        raise EnvironmentFault(
            f"there is no {PROGRAM}, neither beside {sys.executable} nor on PATH; `pip install tritonclient==2.51.0` "
            "has it for Linux on x86-64"
        )
    return program


def _library_path(folder: Path) -> list[str]:
    """LD_LIBRARY_PATH with which the program finds its libraries; links to them are made in `folder`."""
    inherited = [entry for entry in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if entry]
    wheel = importlib.util.find_spec("pytriton")
    if wheel is None or wheel.origin is None:
        return inherited  # the program may come from NVIDIA's container, which has them
    libraries = Path(wheel.origin).parent.parent / "nvidia_pytriton.libs"
    folder.mkdir()
    for name, pattern in LIBRARIES.items():
        for file in sorted(libraries.glob(pattern))[:1]:
            (folder / name).symlink_to(file)
    return [str(folder), str(libraries), *inherited]
