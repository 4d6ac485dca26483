"""The pipeline that `benchmarks.peers.peers` compares with, in an environment of its own with torch and transformers.

The model is a BERT of the shape in `config.json` of a folder, with random weights, and a tokeniser of its `vocab.txt`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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


def work(folder: Path, precision: str) -> None:
    """Answer each line, a JSON array of texts, with the seconds that classifying them takes."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what the libraries print is no answer
    classify = classifier(folder, precision)
    print("ready", file=answers)
    for line in sys.stdin:
        texts = json.loads(line)
        started = time.perf_counter()
        for scores in classify(texts, truncation=True):
            answer(scores)
        print(time.perf_counter() - started, file=answers)


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """What `classifier` needs."""
    parser.add_argument("--folder", type=Path, required=True, help="with config.json and vocab.txt")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), required=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add_model_options(parser)
    args = parser.parse_args()
    work(args.folder, args.precision)


if __name__ == "__main__":
    main()
