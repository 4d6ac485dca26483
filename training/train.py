"""Train a multi-label classifier over a label hierarchy and keep the model that is best on the development set.

python training/train.py --dataset_dir data --model_name ernie-3.0-medium-zh
python training/train.py --dataset_dir orders --run orders --model_name scratch-tiny

What is not given of epochs, learning rate and the like is chosen by the data (--recipe). In a program:

    from training.train import TrainingRun, train

    checkpoint = train(TrainingRun(dataset_dir="data", model_name="scratch-tiny", epochs=3))
    checkpoint.record.metrics["dev"]["micro_f1"]
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from pipeline.command import run
from pipeline.options import parse
from training.checkpoint.files import Checkpoint
from training.loop.options import TrainingRun


def train(options: TrainingRun) -> Checkpoint:
    """Train, and keep the best model in `save_dir`; what is reached is printed after each epoch.

    Returns:
        The best model, with its scores on dev in `record.metrics["dev"]`.

    Raises:
        InputError: the dataset, the model or an option cannot be used, or `save_dir` holds what is no checkpoint.
        EnvironmentFault: the device or a pretrained model is not to be had, or the disk is full.
        ClassifierError: the loss is no longer finite; the best model so far is kept.
    """
    started = time.monotonic()
    # Importing paddle takes seconds: names and places are judged first.
    options.check_inputs()
    from training.loop.run import run_training

    return run_training(options, started)


def parse_args(argv: Sequence[str] | None) -> TrainingRun:
    return parse(TrainingRun, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    train(parse_args(argv))


if __name__ == "__main__":
    run(main)
