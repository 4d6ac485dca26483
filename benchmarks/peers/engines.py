"""transformers' pipeline, which `benchmarks.peers.comparison` runs in an environment of its own.

The model is a BERT of the shape in `config.json` of a folder, with random weights, and a tokeniser of its `vocab.txt`.
Run as a command, it answers each line, a JSON array of texts, with the seconds that classifying them takes.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from benchmarks.line_process import serve_lines
from pipeline.command import run
from pipeline.options import Options, option, parse

PRECISIONS = ("float32", "bfloat16")
BATCH_SIZE = 32
THRESHOLD = 0.5
LENGTH = 128


def classifier(folder: Path, precision: str) -> Any:
    """The text classification pipeline of transformers."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast, TextClassificationPipeline

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    torch.manual_seed(3)
    config = BertConfig(**json.loads((folder / "config.json").read_text(encoding="utf-8")))
    model = BertForSequenceClassification(config).to(getattr(torch, precision)).eval()
    tokeniser = BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=LENGTH)
    options: dict[str, Any] = {"top_k": None, "function_to_apply": "sigmoid", "batch_size": BATCH_SIZE}
    return TextClassificationPipeline(model=model, tokenizer=tokeniser, device="cpu", **options)


def answer(scores: Sequence[dict[str, Any]]) -> list[str]:
    """The labels above the threshold."""
    return [each["label"] for each in scores if each["score"] > THRESHOLD]


@dataclass(frozen=True)
class PipelineOptions(Options):
    """Which model the pipeline runs, and how."""

    folder: Path = option(help="folder with config.json and vocab.txt")
    precision: str = option(help="number format that it computes in", choices=PRECISIONS)


def _work(options: PipelineOptions) -> tuple[str, Callable[[list[str]], float]]:
    """What the process says at first; and what classifies the texts of a line, and tells the seconds that it took."""
    classify = classifier(options.folder, options.precision)

    def seconds(texts: list[str]) -> float:
        started = time.perf_counter()
        for scores in classify(texts, truncation=True):
            answer(scores)
        return time.perf_counter() - started

    return "ready", seconds


def parse_args(argv: Sequence[str] | None) -> PipelineOptions:
    return parse(PipelineOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    serve_lines(lambda: _work(options))


if __name__ == "__main__":
    run(main)
