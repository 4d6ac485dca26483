"""Step time of our training against PyTorch with transformers, on one BERT model and the same batch.

    python -m benchmarks.compute.training_step --model_dir minilm --torch_python torch_env/bin/python

Each library has a process of its own, and they compute in turn, so that whatever else the machine does meets both
alike. Both use all cores, AdamW with its gradients clipped, sigmoid cross-entropy summed over the labels, and the
dropout of the model's config.json; PyTorch takes its fused AdamW. PyTorch is no dependency of the project, it gets an
environment of its own:

    python -m venv torch_env && torch_env/bin/pip install torch transformers
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.compute.step_engines import LABELS, LENGTHS, ROWS, paddle_engine, torch_engine
from benchmarks.records import PROJECT
from pipeline.command import run
from pipeline.errors import ClassifierError, EnvironmentFault, InputError

WARM_UP_STEPS = 3
PAUSE_SECONDS = 0.3
"""Between turns: the threads of a library go on looking for work for a while when a step is over."""
OURS, THEIRS = "paddle", "torch"


def make_batch(model_dir: Path) -> dict[str, np.ndarray]:
    """Token ids int64 [ROWS, longest], targets float32 [ROWS, LABELS], classifier float32 [width, LABELS]."""
    try:
        config = json.loads((model_dir / "config.json").read_text(encoding="utf-8"))
        vocabulary_size, width = int(config["vocab_size"]), int(config["hidden_size"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"--model_dir {model_dir} is no folder of a BERT model: config.json: {error}") from error
    random = np.random.default_rng(3)
    return {
        "input_ids": random.integers(1, vocabulary_size, (ROWS, max(LENGTHS))),
        "targets": (random.random((ROWS, LABELS)) < 2 / LABELS).astype(np.float32),
        "classifier": random.normal(0, 0.02, (width, LABELS)).astype(np.float32),
    }


def work(engine_name: str, model_dir: str, batch_file: Path) -> None:
    """Be the process of one library: answer each line `length steps` with the seconds of each step, as JSON."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what the libraries print is no answer
    threads = len(os.sched_getaffinity(0))
    with np.load(batch_file) as arrays:
        batch = dict(arrays)
    engine = {OURS: paddle_engine, THEIRS: torch_engine}[engine_name](model_dir, batch, threads)
    losses = {str(length): engine.evaluate(length) for length in LENGTHS}
    print(json.dumps({"versions": engine.versions, "losses": losses}), file=answers)
    for line in sys.stdin:
        length, steps = map(int, line.split())
        seconds = []
        for _ in range(steps):
            started = time.perf_counter()
            engine.step(length)
            seconds.append(time.perf_counter() - started)
        print(json.dumps(seconds), file=answers)


class Worker:
    """The process of one library, seen from outside."""

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self.name, self._process = name, process
        self.about = self._answer()

    def seconds(self, length: int, steps: int) -> list[float]:
        """Seconds of each of so many training steps."""
        assert self._process.stdin
        time.sleep(PAUSE_SECONDS)
        print(length, steps, file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise ClassifierError(f"the process of {self.name} ended with status {self._process.wait()}; see above why")
        return json.loads(line)


@contextmanager
def worker(name: str, python: str, model_dir: Path, batch_file: Path) -> Iterator[Worker]:
    """A running worker, ended with the block."""
    module = ("-m", "benchmarks.compute.training_step", "--worker", name)
    words = [python, *module, "--model_dir", str(model_dir.resolve()), "--batch_file", str(batch_file)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, cwd=PROJECT, env=environment, **pipes) as process:
        try:
            yield Worker(name, process)
        finally:
            process.kill()


def measure(workers: Sequence[Worker], pairs: int, steps: int) -> dict[int, dict[str, list[list[float]]]]:
    """Seconds of each step by length, library and turn, the libraries taking turns."""
    for turn in workers:
        for length in LENGTHS:
            turn.seconds(length, WARM_UP_STEPS)
    found: dict[int, dict[str, list[list[float]]]] = {}
    for length in LENGTHS:
        found[length] = {turn.name: [] for turn in workers}
        for _ in range(pairs):
            for turn in workers:
                found[length][turn.name].append(turn.seconds(length, steps))
    return found


def summarise(turns: dict[str, list[list[float]]]) -> dict[str, Any]:
    """Median milliseconds per step, and ours over theirs: of these medians, and the range over the pairs of turns."""
    result: dict[str, Any] = {
        f"{name}_ms": round(1000 * statistics.median(second for turn in own for second in turn), 2)
        for name, own in turns.items()
    }
    if THEIRS in turns:
        ratios = [statistics.median(a) / statistics.median(b) for a, b in zip(turns[OURS], turns[THEIRS])]
        result["ratio"] = round(result[f"{OURS}_ms"] / result[f"{THEIRS}_ms"], 3)
        result["pair_ratios"] = [round(ratio, 3) for ratio in ratios]
    return result


def print_table(results: dict[int, dict[str, Any]]) -> None:
    print(f"{'batch':>8} {'paddle ms':>10} {'torch ms':>10} {'ratio':>7}  lowest and highest pair")
    for length, result in results.items():
        if "ratio" in result:
            pairs = f"{min(result['pair_ratios']):.3f} {max(result['pair_ratios']):.3f}"
            theirs = f"{result['torch_ms']:>10.1f} {result['ratio']:>7.3f}  {pairs}"
        else:
            theirs = "   skipped"
        print(f"{ROWS:>4}x{length:<3} {result['paddle_ms']:>10.1f} {theirs}")


def check_same_model(workers: Sequence[Worker]) -> None:
    """Raise ClassifierError unless all workers compute the same loss before the first step."""
    for length in LENGTHS:
        losses = [turn.about["losses"][str(length)] for turn in workers]
        if not np.allclose(losses, losses[0], rtol=1e-3):
            raise ClassifierError(
                f"the libraries give different losses for the same batch of length {length}: {losses}"
            )


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model_dir", type=Path, required=True, help="a Hugging Face BERT folder, such as MiniLM's")
    parser.add_argument(
        "--torch_python", help="interpreter that has torch and transformers; without, theirs is skipped"
    )
    parser.add_argument("--pairs", type=int, default=7, help="turns of each library per batch shape (%(default)s)")
    parser.add_argument("--steps", type=int, default=10, help="steps per turn (%(default)s)")
    parser.add_argument("--worker", choices=(OURS, THEIRS), help=argparse.SUPPRESS)
    parser.add_argument("--batch_file", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    if args.worker:
        work(args.worker, str(args.model_dir), args.batch_file)
        return
    if args.pairs < 1 or args.steps < 1:
        raise InputError(f"--pairs is {args.pairs} and --steps {args.steps}; give at least 1 of each")
    pythons = {OURS: sys.executable}
    if args.torch_python:
        check_torch(args.torch_python)
        pythons[THEIRS] = args.torch_python
    else:
        print("PyTorch is skipped: give --torch_python an interpreter that has torch and transformers", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        batch_file = Path(folder) / "batch.npz"
        np.savez(batch_file, **make_batch(args.model_dir))
        workers = [
            stack.enter_context(worker(name, python, args.model_dir, batch_file)) for name, python in pythons.items()
        ]
        check_same_model(workers)
        results = {length: summarise(turns) for length, turns in measure(workers, args.pairs, args.steps).items()}
        versions = {key: value for turn in workers for key, value in turn.about["versions"].items()}
    print_table(results)
    print(json.dumps({**{f"{ROWS}x{length}": result for length, result in results.items()}, **versions}))


def check_torch(python: str) -> None:
    """Raise EnvironmentFault unless the interpreter runs and has what the comparison needs."""
    command = [python, "-c", "import importlib.util as u; print(*[u.find_spec(m) for m in ('torch', 'transformers')])"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise EnvironmentFault(f"--torch_python {python} does not run ({error})") from error
    if "None" in found:
        raise EnvironmentFault(
            f"--torch_python {python} lacks torch or transformers: {python} -m pip install them both"
        )


if __name__ == "__main__":
    run(main)
