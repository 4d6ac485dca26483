"""The two libraries that `benchmarks.compute.training_step` compares, each as one training step on a given batch.

Run as a command, it is the process of one of them, and answers each line `[length, steps]` with the seconds of each
step. It runs in PyTorch's environment too, which has numpy and torch, and nothing of this project's.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import numpy as np

from benchmarks.line_process import serve_lines
from pipeline.command import run
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.options import Options, option, parse

OURS, THEIRS = "paddle", "torch"
LENGTHS = (64, 128)
ROWS, LABELS = 32, 160
LEARNING_RATE, WEIGHT_DECAY, MAX_GRADIENT_NORM = 2e-5, 0.01, 1.0


@dataclass(frozen=True)
class Engine:
    """A model in training, in one of the libraries.

    Attributes:
        versions: of the library and what matters beside it.
        evaluate: the loss of the batch, cut to a length, without dropout.
        step: one training step on the batch, cut to a length.
    """

    versions: dict[str, str]
    evaluate: Callable[[int], float]
    step: Callable[[int], None]


def paddle_engine(
    model_dir: str, batch: dict[str, np.ndarray], threads: int, device: str = "cpu", texts: Sequence[str] = ()
) -> Engine:
    """The step of `training.loop.trainer`. Elsewhere nothing imports `training`; here its step is what is measured.

    `texts` are what a model that is named, and begins from nothing, takes its vocabulary from.
    """
    import paddle

    from pipeline.files.dataset import ReadReport
    from pipeline.text.tokeniser_files import checkpoint_tokeniser
    from training.data.encoded import EncodedDataset
    from training.loop.distributed import ProcessGroup
    from training.loop.losses import binary_cross_entropy
    from training.loop.options import LoopOptions
    from training.loop.state import RunFiles
    from training.loop.trainer import Trainer
    from training.model.device import use_device
    from training.model.encoders import create_model, model_logits

    use_device(device)
    with tempfile.TemporaryDirectory() as folder:
        model = create_model(model_dir, LABELS, max(LENGTHS), texts, Path(folder))
        tokeniser = checkpoint_tokeniser(Path(folder), max(LENGTHS))
    model.classifier.weight.set_value(batch["classifier"])
    model.classifier.bias.set_value(np.zeros(LABELS, np.float32))
    rows = [row[:length] for length in LENGTHS for row in batch["input_ids"]]
    dataset = EncodedDataset([], rows, np.tile(batch["targets"], (len(LENGTHS), 1)), ReadReport())
    trainer = Trainer(
        model,
        tokeniser,
        dataset,
        dataset,
        LabelHierarchy(map(str, range(LABELS))),
        LoopOptions(learning_rate=LEARNING_RATE, batch_size=ROWS, epochs=10_000, weight_decay=WEIGHT_DECAY),
        RunFiles(Path(), Path(), {}),
        lambda scores, decoder: None,
        ProcessGroup(),
    )

    def evaluate(length: int) -> float:
        model.eval()
        input_ids = batch["input_ids"][:, :length]
        logits = model_logits(model, input_ids, np.zeros_like(input_ids))
        model.train()
        return float(binary_cross_entropy(paddle.to_tensor(logits), paddle.to_tensor(batch["targets"])))

    def step(length: int) -> None:
        trainer.step([LENGTHS.index(length) * ROWS + np.arange(ROWS)])

    return Engine({"paddle": paddle.__version__, "threads": str(threads)}, evaluate, step)


def torch_engine(model_dir: str, batch: dict[str, np.ndarray], threads: int) -> Engine:
    """What a training loop with transformers does."""
    import torch
    import transformers

    torch.set_num_threads(threads)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(model_dir, num_labels=LABELS)
    with torch.no_grad():
        model.classifier.weight.copy_(torch.from_numpy(batch["classifier"].T))
        model.classifier.bias.zero_()
    plain = [p for name, p in model.named_parameters() if name.endswith("bias") or "LayerNorm" in name]
    decayed = [p for name, p in model.named_parameters() if not (name.endswith("bias") or "LayerNorm" in name)]
    groups = [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, fused=True)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, 0, 20_000)
    input_ids, targets = torch.from_numpy(batch["input_ids"]), torch.from_numpy(batch["targets"])

    def loss_of(length: int) -> Any:
        ids = input_ids[:, :length]
        output = model(input_ids=ids, attention_mask=(ids != 0).long(), token_type_ids=torch.zeros_like(ids))
        return torch.nn.functional.binary_cross_entropy_with_logits(output.logits, targets, reduction="sum") / ROWS

    def evaluate(length: int) -> float:
        model.eval()
        with torch.no_grad():
            loss = float(loss_of(length))
        model.train()
        return loss

    def step(length: int) -> None:
        loss = loss_of(length)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_GRADIENT_NORM)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        loss.item()

    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "threads": str(threads)}
    return Engine(versions, evaluate, step)


ENGINES: dict[str, Callable[[str, dict[str, np.ndarray], int], Engine]] = {OURS: paddle_engine, THEIRS: torch_engine}


@dataclass(frozen=True)
class StepOptions(Options):
    """Which library trains which model on which batch."""

    library: str = option(help="library that computes the steps", choices=tuple(ENGINES))
    model_dir: Path = option(help="folder of a Hugging Face BERT model")
    batch_file: Path = option(help="the batch, as training_step writes it")


def _work(options: StepOptions) -> tuple[dict[str, Any], Callable[[list[int]], list[float]]]:
    """What the process says at first, the versions and the losses before any step; and what answers its lines."""
    with np.load(options.batch_file) as arrays:
        batch = dict(arrays)
    engine = ENGINES[options.library](str(options.model_dir), batch, len(os.sched_getaffinity(0)))

    def seconds(asked: list[int]) -> list[float]:
        length, steps = asked
        found = []
        for _ in range(steps):
            started = time.perf_counter()
            engine.step(length)
            found.append(time.perf_counter() - started)
        return found

    losses = {str(length): engine.evaluate(length) for length in LENGTHS}
    return {"versions": engine.versions, "losses": losses}, seconds


def parse_args(argv: Sequence[str] | None) -> StepOptions:
    return parse(StepOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    serve_lines(lambda: _work(options))


if __name__ == "__main__":
    run(main)
