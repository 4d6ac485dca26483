"""Pruning by `training/prune.py` against paddlenlp's `Trainer.compress` with paddleslim, on one checkpoint.

python -m benchmarks.quality.pruning_engines --dataset_dir data --params_dir checkpoint --width_mult 0.5 \
    --paddleslim FOLDER --epochs 3 --learning_rate 5e-4

Both get the same rows, width, epochs, batch size and learning rate; both are measured on dev by the checkpoint's own
decoder. paddleslim is needed for this comparison alone: `pip install --no-deps --target FOLDER paddleslim==2.6.0`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.command import run
from pipeline.compute.batching import pad
from pipeline.errors import EnvironmentFault
from pipeline.labels.decoding import Decoder
from pipeline.metrics.threshold_tuning import micro_f1


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--dataset_dir", required=True, help="folder with train.txt and dev.txt")
    parser.add_argument("--params_dir", required=True, help="the checkpoint to prune")
    parser.add_argument("--paddleslim", required=True, help="folder that paddleslim was installed to")
    parser.add_argument("--width_mult", default="0.5", help="share of heads and neurons to keep (%(default)s)")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--learning_rate", type=float, default=5e-4)
    parser.add_argument("--max_seq_length", type=int, default=64)
    parser.add_argument("--batch_size", type=int, default=32)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        results = {"prune.py": ours(args, folder), "Trainer.compress": theirs(args, folder)}
    ratio = results["prune.py"]["seconds"] / results["Trainer.compress"]["seconds"]
    print(json.dumps({**results, "time ratio": round(ratio, 3)}))


def ours(args: argparse.Namespace, folder: str) -> dict[str, float]:
    """Seconds and dev micro F1 of `prune.py`."""
    importlib.import_module("training.pruning.run")  # importing paddle is no part of the time
    from pipeline.files.bundle import Bundle
    from training import prune

    options = {
        "dataset_dir": args.dataset_dir,
        "params_dir": args.params_dir,
        "output_dir": folder,
        "width_mult": args.width_mult,
        "num_train_epochs": args.epochs,
        "learning_rate": args.learning_rate,
        "max_seq_length": args.max_seq_length,
        "per_device_train_batch_size": args.batch_size,
        "device": "cpu",
        "logging_steps": 100,
    }
    started = time.monotonic()
    prune.main([word for name, value in options.items() for word in (f"--{name}", str(value))])
    seconds = time.monotonic() - started
    (bundle,) = (path for path in Path(folder).iterdir() if (path / "bundle.json").exists())
    return {"seconds": round(seconds, 1), "dev micro F1": Bundle(bundle).manifest.metrics["dev"]["micro_f1"]}


def theirs(args: argparse.Namespace, folder: str) -> dict[str, float]:
    """Seconds and dev micro F1 of `Trainer.compress`; the best evaluation counts, of which there is one per epoch."""
    sys.path.append(args.paddleslim)
    import paddle
    from paddlenlp.trainer import CompressionArguments, Trainer

    mend_layer_norm()
    from training.checkpoint.files import read_checkpoint
    from training.data.encoded import read_encoded

    checkpoint = read_checkpoint(args.params_dir)
    encoder = checkpoint.encoder(args.max_seq_length)
    train, dev = (
        read_encoded(Path(args.dataset_dir) / name, checkpoint.hierarchy, encoder) for name in ("train.txt", "dev.txt")
    )
    datasets = [
        [{"input_ids": row, "labels": labels} for row, labels in zip(part.rows, part.labels.astype(np.float32))]
        for part in (train, dev)
    ]
    decoder = Decoder(checkpoint.hierarchy, checkpoint.decoder().thresholds, checkpoint.record.decoding)
    reached: list[float] = []

    def evaluate(trainer: Any, model: Any, batches: Any) -> float:
        model.eval()
        logits = []
        with paddle.no_grad():
            for batch in batches:
                batch.pop("labels")
                answer = model(**batch)
                logits.append((answer[0] if isinstance(answer, (tuple, list)) else answer).numpy())
        model.train()
        reached.append(micro_f1(decoder, np.concatenate(logits), dev.labels))
        return reached[-1]

    arguments = CompressionArguments(
        output_dir=f"{folder}/compress",
        strategy="dynabert",
        width_mult_list=[args.width_mult],
        per_device_train_batch_size=args.batch_size,
        per_device_eval_batch_size=args.batch_size,
        learning_rate=args.learning_rate,
        num_train_epochs=args.epochs,
        save_steps=-(-len(train) // args.batch_size),
        logging_steps=100,
        device="cpu",
        disable_tqdm=True,
    )
    trainer = Trainer(
        model=checkpoint.model(),
        args=arguments,
        data_collator=_collate,
        train_dataset=datasets[0],
        eval_dataset=datasets[1],
        criterion=paddle.nn.BCEWithLogitsLoss(),
    )
    started = time.monotonic()
    trainer.compress(custom_evaluate=evaluate)  # evaluates the teacher first
    return {"seconds": round(time.monotonic() - started, 1), "dev micro F1": max(reached[1:])}


def mend_layer_norm() -> None:
    """Let paddleslim's SuperLayerNorm run: it expects three values of a kernel that in Paddle 2.6 gives one."""
    import paddle

    ones = paddle.ones([1, 1])
    if isinstance(paddle._C_ops.layer_norm(ones, ones[0], ones[0], 1e-5, 1), (tuple, list)):
        return  # this Paddle gives what paddleslim expects

    try:
        layers = importlib.import_module("paddleslim.nas.ofa.layers")
    except ImportError as error:
        raise EnvironmentFault(f"paddleslim does not load ({error}); see --help for how to install it") from error

    def forward(layer: Any, source: Any) -> Any:
        width = int(source.shape[-1])
        return paddle.nn.functional.layer_norm(source, width, layer.weight[:width], layer.bias[:width], layer._epsilon)

    layers.SuperLayerNorm.forward = forward


def _collate(rows: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    input_ids = pad([row["input_ids"] for row in rows])
    labels = np.stack([row["labels"] for row in rows])
    return {"input_ids": input_ids, "token_type_ids": np.zeros_like(input_ids), "labels": labels}


if __name__ == "__main__":
    run(main)
