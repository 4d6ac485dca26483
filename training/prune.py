"""Prune a trained classifier: keep its most important attention heads and neurons, and teach them what the whole knew.

python training/prune.py --device cpu --dataset_dir data --params_dir ./checkpoint --output_dir ./prune --width_mult 2/3

Each width is written to a folder of its own, `prune/0.6666666666666666/`: the pruned checkpoint, its static graph, its
ONNX graph, and all else that makes it a bundle.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pipeline.command import run
from pipeline.errors import InputError
from pipeline.metrics.threshold_tuning import MODES
from training.checkpoint.files import read_checkpoint
from training.loop.options import LoopOptions
from training.model.width import kept, parse_widths
from training.options import DEVICES, add_run_options, check_run_options, fetch_dataset
from training.pruning.options import CONFIG_FILE, parse_with_config


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    add_run_options(made)
    add = made.add_argument
    add("--params_dir", default="./checkpoint/", help="the checkpoint to prune: its folder, or its parameter file")
    add(
        *("--width_mult", "--width_mult_list"),
        nargs="+",
        default="2/3",
        help="shares of heads and neurons to keep, one model for each",
    )
    add("--output_dir", default="./prune", help="where the pruned models are written, each in a folder of its own")
    add("--device", choices=DEVICES, default="gpu", help="what to train on")
    add("--per_device_train_batch_size", type=int, default=32, help="texts per training step and process")
    add("--per_device_eval_batch_size", type=int, default=32, help="texts at once when importance is measured")
    add("--learning_rate", type=float, default=3e-5, help="peak learning rate")
    add("--num_train_epochs", type=int, default=10, help="passes over the training rows for each width")
    add("--weight_decay", type=float, default=0.0, help="weight decay against overfitting")
    add("--warmup_steps", type=int, default=0, help="steps over which the learning rate grows from 0")
    add("--logging_steps", type=int, default=5, help="steps between lines of the log")
    add("--save_steps", type=int, default=100, help="steps after which the training state is written")
    add("--thresholds", choices=MODES, help="how thresholds are chosen on dev (as the checkpoint's were)")
    add("--unlabelled_file", help="texts in --dataset_dir on which to learn from the whole model too, such as data.txt")
    add("--prune_config", help=f"JSON object with values for options that are not given here ({CONFIG_FILE}, if there)")
    add("--model_name_or_path", help="accepted for older command lines; the checkpoint knows its model")
    return made


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    return parse_with_config(parser(), argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    widths = parse_widths(args.width_mult)
    args.width_mult = list(map(str, widths))
    check_run_options(args)
    checkpoint = read_checkpoint(args.params_dir)
    if checkpoint.record.width != "1":
        raise InputError(
            f"{args.params_dir} was pruned already, to {checkpoint.record.width}; give the whole checkpoint"
        )
    options = training_options(args, checkpoint.record.options.get("thresholds", "fixed"))
    for width in widths:
        kept(checkpoint.attention_heads, width)
    fetch_dataset(args)
    # Importing paddle takes seconds: the command line is judged first.
    from training.pruning.run import prune_widths

    prune_widths(args, checkpoint, options, widths)


def training_options(args: argparse.Namespace, own_thresholds: str) -> LoopOptions:
    """The loop's options; raises InputError where a value cannot be meant."""
    for name in ("per_device_train_batch_size", "per_device_eval_batch_size", "num_train_epochs"):
        if getattr(args, name) < 1:
            raise InputError(f"--{name} is {getattr(args, name)}; it must be at least 1")
    return LoopOptions(
        learning_rate=args.learning_rate,
        batch_size=args.per_device_train_batch_size,
        epochs=args.num_train_epochs,
        warmup=True,
        warmup_steps=args.warmup_steps,
        weight_decay=args.weight_decay,
        logging_steps=args.logging_steps,
        save_steps=args.save_steps,
        thresholds=args.thresholds or own_thresholds,
        seed=args.seed,
    )


if __name__ == "__main__":
    run(main)
