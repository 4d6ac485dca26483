"""Train a multi-label classifier over a label hierarchy and keep the model that is best on the development set.

python training/train.py --device cpu --dataset_dir data --model_name ernie-3.0-medium-zh --early_stop
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import paddle

from pipeline.command import run
from pipeline.dataset import DEV_FILE, LABEL_FILE, TRAIN_FILE, read_examples, read_labels
from pipeline.decoding import Decoder, DecodingPolicy
from pipeline.encoding import TextEncoder
from pipeline.errors import EnvironmentFault, InputError
from pipeline.hierarchy import LabelHierarchy
from pipeline.normalisation import NORMALISATIONS, normalise
from pipeline.tokenisation import Tokeniser
from training.checkpoint import TrainingRecord, check_destination, write_checkpoint
from training.encoded import EncodedDataset, read_encoded
from training.encoders import PRETRAINED, SCRATCH, create_model
from training.trainer import Trainer, TrainingOptions

DEVICES = ("cpu", "gpu", "xpu", "npu")
SAMPLE_TEXTS = 32


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add("--device", choices=DEVICES, default="gpu", help="what to train on")
    add("--dataset_dir", required=True, help="folder with train.txt, dev.txt and label.txt")
    add("--save_dir", default="./checkpoint", help="where the best model is kept")
    add("--max_seq_length", type=int, default=128, help="tokens per text, the rest is cut off; at most 2048")
    add(
        "--model_name",
        default="ernie-3.0-medium-zh",
        help=f"{', '.join(PRETRAINED)}; {', '.join(SCRATCH)} train from nothing; or a local folder",
    )
    add("--batch_size", type=int, default=32, help="texts per training step")
    add("--learning_rate", type=float, default=3e-5, help="peak learning rate")
    add("--epochs", type=int, default=10, help="passes over the training rows")
    add("--early_stop", action="store_true", help="stop when the result on dev no longer improves")
    add("--early_stop_nums", type=int, default=10, help="epochs without improvement after which --early_stop stops")
    add("--logging_steps", type=int, default=5, help="steps between updates of the progress shown")
    add("--weight_decay", type=float, default=0.0, help="weight decay against overfitting")
    add("--warmup", action="store_true", help="let the learning rate grow from 0 over --warmup_steps")
    add("--warmup_steps", type=int, default=0, help="steps that --warmup takes")
    add("--init_from_ckpt", help="parameters to start from, e.g. checkpoint/model_state.pdparams")
    add("--seed", type=int, default=3, help="random seed")
    add("--train_file", default=TRAIN_FILE, help="training rows in --dataset_dir")
    add("--dev_file", default=DEV_FILE, help="development rows in --dataset_dir")
    add("--label_file", default=LABEL_FILE, help="label paths in --dataset_dir")
    add("--normalisation", choices=tuple(NORMALISATIONS), default="half_width", help="applied to every text")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    options = training_options(args)
    check_destination(args.save_dir)
    use_device(args.device)
    set_seed(args.seed)
    folder = Path(args.dataset_dir)
    hierarchy = read_labels(folder / args.label_file)
    with tempfile.TemporaryDirectory() as tokeniser_folder:
        train(args, options, folder, hierarchy, Path(tokeniser_folder))


def training_options(args: argparse.Namespace) -> TrainingOptions:
    """The loop's options; raises InputError where a value cannot be meant."""
    if not 3 <= args.max_seq_length <= 2048:
        raise InputError(f"--max_seq_length is {args.max_seq_length}; give 3 to 2048")
    return TrainingOptions(
        learning_rate=args.learning_rate,
        batch_size=args.batch_size,
        epochs=args.epochs,
        warmup_steps=args.warmup_steps if args.warmup else 0,
        weight_decay=args.weight_decay,
        patience_epochs=args.early_stop_nums if args.early_stop else None,
        logging_steps=args.logging_steps,
        seed=args.seed,
    )


def use_device(name: str) -> None:
    """Make paddle compute on `name`.

    Raises:
        EnvironmentFault: the installed paddle or this machine lacks the device.
    """
    try:
        paddle.set_device(name)
        paddle.zeros([1])
    except (ValueError, RuntimeError, OSError) as error:
        raise EnvironmentFault(
            f"--device {name} is not available with the installed paddle {paddle.__version__}; use --device cpu, "
            f"or install the paddle that supports {name}"
        ) from error


def set_seed(seed: int) -> None:
    """Seed every random generator that training uses."""
    random.seed(seed)
    np.random.seed(seed)
    paddle.seed(seed)


def train(
    args: argparse.Namespace,
    options: TrainingOptions,
    folder: Path,
    hierarchy: LabelHierarchy,
    tokeniser_folder: Path,
) -> None:
    """Build the model, train it, and keep the best in `--save_dir`."""
    started = time.monotonic()
    train_path, dev_path = folder / args.train_file, folder / args.dev_file
    texts = (normalise(example.text, args.normalisation) for example in read_examples(train_path, hierarchy))
    model = create_model(args.model_name, len(hierarchy), args.max_seq_length, texts, tokeniser_folder)
    if args.init_from_ckpt:
        load_parameters(model, args.init_from_ckpt)
    tokeniser = Tokeniser.from_checkpoint(tokeniser_folder, args.max_seq_length)
    encoder = TextEncoder(args.normalisation, tokeniser)
    train_set = read_encoded(train_path, hierarchy, encoder)
    dev_set = read_encoded(dev_path, hierarchy, encoder)
    describe(train_path, train_set)
    describe(dev_path, dev_set)

    def keep(scores: dict[str, Any]) -> None:
        record = TrainingRecord(
            model_name=args.model_name,
            max_seq_length=args.max_seq_length,
            normalisation=args.normalisation,
            options=vars(args),
            metrics={"dev": scores},
            sample_texts=tuple(dev_set.texts[:SAMPLE_TEXTS]),
        )
        write_checkpoint(args.save_dir, model, tokeniser_folder, hierarchy, record)

    decoder = Decoder(hierarchy, policy=DecodingPolicy("threshold"))
    best = Trainer(model, train_set, dev_set, decoder, options, keep).run()
    print(
        f"best on dev: micro F1 {best['micro_f1']:.4f}, macro F1 {best['macro_f1']:.4f}; kept in {args.save_dir} "
        f"after {time.monotonic() - started:.0f} s"
    )


def describe(path: Path, dataset: EncodedDataset) -> None:
    print(f"{path}: {dataset.report.summary()}")


def load_parameters(model: paddle.nn.Layer, path: str) -> None:
    """Start `model` from saved parameters.

    Raises:
        InputError: the file is missing, or its parameters have other names or shapes than the model's.
    """
    if not Path(path).is_file():
        raise InputError(f"--init_from_ckpt {path} does not exist")
    state = paddle.load(path)
    expected = {name: list(parameter.shape) for name, parameter in model.state_dict().items()}
    wrong = [name for name, shape in expected.items() if name not in state or list(state[name].shape) != shape]
    if wrong:
        raise InputError(
            f"--init_from_ckpt {path} does not fit the model: {len(wrong)} parameters are missing or have another "
            f"shape, {wrong[0]} first; give the --model_name and the labels that it was trained with"
        )
    model.set_state_dict(state)


if __name__ == "__main__":
    run(main)
