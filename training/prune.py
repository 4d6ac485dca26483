"""Prune a trained classifier: keep its most important attention heads and neurons, and teach them what the whole knew.

python training/prune.py --dataset_dir data --params_dir ./checkpoint --output_dir ./prune --width_mult 2/3

    from training.prune import PruningRun, prune

    for bundle in prune(PruningRun(dataset_dir="data", width_mult=("3/4", "1/2"))):
        bundle.path, bundle.manifest.width, bundle.manifest.metrics["dev"]["micro_f1"]

With --model_repository the pruned model is published in the same go, for Triton and for Paddle Serving.
Each width is written to a folder of its own, `prune/0.6666666666666666/`: the pruned checkpoint, its static graph, its
ONNX graph, and all else that makes it a bundle.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from pipeline.command import run
from pipeline.errors import InputError
from pipeline.files.bundle import Bundle
from training.checkpoint.classifier import check_labels
from training.checkpoint.files import read_checkpoint
from training.model.width import kept
from training.pruning.command_line import PruneCommand, parse_command
from training.pruning.options import PruningRun


def prune(options: PruningRun) -> list[Bundle]:
    """Prune a checkpoint to each width, leave a bundle of each that is a checkpoint too, and publish it where asked.

    Returns:
        The bundles, in the order of the widths.

    Raises:
        InputError: the checkpoint, the dataset or an option cannot be used, or a folder holds what is no pruned model.
        EnvironmentFault: the device or paddleslim is not to be had, or the disk is full.
        ClassifierError: the loss is no longer finite, an exported graph's logits differ from its checkpoint's, or the
            bundle cannot be published.
    """
    started = time.monotonic()
    checkpoint = read_checkpoint(options.params_dir)
    if checkpoint.record.width != "1":
        raise InputError(
            f"{options.params_dir} was pruned already, to {checkpoint.record.width}; give the whole checkpoint"
        )
    for width in options.widths:
        kept(checkpoint.attention_heads, width)
    # Importing paddle takes seconds: what was asked for is judged first.
    options.check_inputs(*filter(None, [options.unlabelled_file]))
    if options.dataset_dir is not None:
        check_labels(options.dataset_dir / options.label_file, checkpoint.hierarchy)
    _ = options.golden_texts  # an error in it, too
    from training.pruning.run import prune_widths

    return prune_widths(options, checkpoint, started)


def parse_args(argv: Sequence[str] | None) -> PruneCommand:
    return parse_command(argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    prune(parse_args(argv))


if __name__ == "__main__":
    run(main)
