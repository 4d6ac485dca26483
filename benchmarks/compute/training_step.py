"""Step time of our training against PyTorch with transformers, on one BERT model and the same batch.

    python -m benchmarks.compute.training_step --model_dir minilm --torch_python torch_env/bin/python

Each library has a process of its own, and they compute in turn, so that whatever else the machine does meets both
alike. Both use all cores, AdamW with its gradients clipped, sigmoid cross-entropy summed over the labels, and the
dropout of the model's config.json; PyTorch takes its fused AdamW. PyTorch is no dependency of the project, it gets an
environment of its own:

    python -m venv torch_env && torch_env/bin/pip install torch transformers
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.compute.step_engines import LABELS, LENGTHS, OURS, ROWS, THEIRS
from benchmarks.line_process import LineProcess
from pipeline.command import run
from pipeline.errors import ClassifierError, EnvironmentFault, InputError
from pipeline.options import Options, option, parse

WARM_UP_STEPS = 3
PAUSE_SECONDS = 0.3
"""Between turns: the threads of a library go on looking for work for a while when a step is over."""


@dataclass(frozen=True)
class StepTimeOptions(Options):
    """Which model is trained, by whom, and how often."""

    model_dir: Path = option(help="folder of a Hugging Face BERT model, such as MiniLM's")
    torch_python: str | None = option(None, "interpreter that has torch and transformers; without it theirs is skipped")
    pairs: int = option(7, "turns of each library per batch shape", at_least=1)
    steps: int = option(10, "training steps per turn", at_least=1)


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


def step_process(library: str, python: str, model_dir: Path, batch_file: Path) -> LineProcess:
    """The process of a library."""
    words = [python, "-m", "benchmarks.compute.step_engines", "--library", library]
    words += ["--model_dir", str(model_dir.resolve()), "--batch_file", str(batch_file)]
    return LineProcess(library, words)


def step_seconds(process: LineProcess, length: int, steps: int) -> list[float]:
    """Seconds of each of so many training steps."""
    time.sleep(PAUSE_SECONDS)
    return process.ask([length, steps])


def take_turns(processes: Sequence[LineProcess], pairs: int, steps: int) -> dict[int, dict[str, list[list[float]]]]:
    """Seconds of each step by length, library and turn, the libraries taking turns."""
    for process in processes:
        for length in LENGTHS:
            step_seconds(process, length, WARM_UP_STEPS)
    found: dict[int, dict[str, list[list[float]]]] = {}
    for length in LENGTHS:
        found[length] = {process.name: [] for process in processes}
        for _ in range(pairs):
            for process in processes:
                found[length][process.name].append(step_seconds(process, length, steps))
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


def report(results: Mapping[str, Any]) -> None:
    """Print the table."""
    print(f"{'batch':>8} {'paddle ms':>10} {'torch ms':>10} {'ratio':>7}  lowest and highest pair")
    for shape in (f"{ROWS}x{length}" for length in LENGTHS):
        result = results[shape]
        theirs = "   skipped"
        if "ratio" in result:
            pairs = f"{min(result['pair_ratios']):.3f} {max(result['pair_ratios']):.3f}"
            theirs = f"{result['torch_ms']:>10.1f} {result['ratio']:>7.3f}  {pairs}"
        print(f"{shape:>8} {result['paddle_ms']:>10.1f} {theirs}")


def check_same_model(processes: Sequence[LineProcess]) -> None:
    """Raise ClassifierError unless all compute the same loss before the first step."""
    for length in LENGTHS:
        losses = [process.about["losses"][str(length)] for process in processes]
        if not np.allclose(losses, losses[0], rtol=1e-3):
            raise ClassifierError(
                f"the libraries give different losses for the same batch of length {length}: {losses}"
            )


def measure(options: StepTimeOptions) -> dict[str, Any]:
    """Milliseconds per step by batch shape, and the versions.

    Raises:
        InputError: there is no such model.
        EnvironmentFault: `torch_python` lacks a library.
        ClassifierError: a library fails, or they compute different losses.
    """
    pythons = {OURS: sys.executable}
    if options.torch_python:
        check_torch(options.torch_python)
        pythons[THEIRS] = options.torch_python
    else:
        print("PyTorch is skipped: give --torch_python an interpreter that has torch and transformers", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        batch_file = Path(folder) / "batch.npz"
        np.savez(batch_file, **make_batch(options.model_dir))
        processes = [
            stack.enter_context(step_process(library, python, options.model_dir, batch_file))
            for library, python in pythons.items()
        ]
        check_same_model(processes)
        turns = take_turns(processes, options.pairs, options.steps)
        versions = {key: value for process in processes for key, value in process.about["versions"].items()}
    return {**{f"{ROWS}x{length}": summarise(found) for length, found in turns.items()}, **versions}


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


def parse_args(argv: Sequence[str] | None) -> StepTimeOptions:
    return parse(StepTimeOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    results = measure(parse_args(argv))
    report(results)
    print(json.dumps(results))


if __name__ == "__main__":
    run(main)
