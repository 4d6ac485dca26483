"""Train a multi-label classifier over a label hierarchy and keep the model that is best on the development set.

python training/train.py --device cpu --dataset_dir data --model_name ernie-3.0-medium-zh --early_stop
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pipeline.command import run
from pipeline.files.dataset import DATA_FILE
from pipeline.metrics.threshold_tuning import MODES
from pipeline.text.normalisation import NORMALISATIONS
from training.loop.options import DEVICES, LOSSES, TrainingOptions
from training.model.model_names import PRETRAINED, SCRATCH
from training.options import add_run_options, check_run_options, fetch_dataset


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add_run_options(parser)
    add = parser.add_argument
    add("--device", choices=DEVICES, default="gpu", help="what to train on")
    add("--save_dir", default="./checkpoint", help="where the best model is kept")
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
    add("--logging_steps", type=int, default=5, help="steps between lines of the log")
    add("--save_steps", type=int, help="steps after which the training state is written, besides after each epoch")
    add("--weight_decay", type=float, default=0.0, help="weight decay against overfitting")
    add("--warmup", action="store_true", help="let the learning rate grow from 0 over --warmup_steps")
    add("--warmup_steps", type=int, default=0, help="steps that --warmup takes")
    add("--init_from_ckpt", help="parameters to start from, e.g. checkpoint/model_state.pdparams")
    add("--loss", choices=LOSSES, default="bce", help="binary cross-entropy, or ZLPR (arXiv 2208.02955)")
    add("--hierarchy_weight", type=float, default=0.0, help="weight of a penalty for a child scored above its parent")
    add(
        "--thresholds",
        choices=MODES,
        default="fixed",
        help="0.5 and the policy `ancestors`; or one threshold and a policy tuned on dev; or a threshold per label",
    )
    add("--freeze_layers", type=int, help="keep the embeddings and so many of the lowest encoder layers as they are")
    add(
        "--teachers",
        nargs="+",
        metavar="FILE",
        help="answers of other models to unlabelled texts, to learn from their mean: predict.py --format jsonl "
        "--policy threshold --threshold 0.001",
    )
    add("--average_weights", type=float, default=0.0, help="decay of a running average of the weights; 0 for none")
    add("--token_dropout", type=float, default=0.0, help="share of the tokens that each training step hides")
    add("--unlabelled_file", default=DATA_FILE, help="texts in --dataset_dir that scratch models learn words from")
    add("--normalisation", choices=tuple(NORMALISATIONS), default="half_width", help="applied to every text")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    check_run_options(args)
    options = training_options(args)
    fetch_dataset(args)
    # Importing paddle takes seconds: the command line is judged first.
    from training.loop.run import train

    train(args, options)


def training_options(args: argparse.Namespace) -> TrainingOptions:
    """The loop's options; raises InputError where a value cannot be meant."""
    return TrainingOptions(
        learning_rate=args.learning_rate,
        batch_size=args.batch_size,
        epochs=args.epochs,
        warmup_steps=args.warmup_steps if args.warmup else 0,
        weight_decay=args.weight_decay,
        patience_epochs=args.early_stop_nums if args.early_stop else None,
        logging_steps=args.logging_steps,
        save_steps=args.save_steps,
        loss=args.loss,
        hierarchy_weight=args.hierarchy_weight,
        thresholds=args.thresholds,
        freeze_layers=args.freeze_layers,
        average_weights=args.average_weights,
        start_competes=args.init_from_ckpt is not None,
        token_dropout=args.token_dropout,
        seed=args.seed,
    )


if __name__ == "__main__":
    run(main)
