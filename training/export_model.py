"""Export a checkpoint: static graph, ONNX graph, and the bundle that every server loads.

python training/export_model.py --params_path ./checkpoint/ --output_path ./export
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pipeline.command import run
from pipeline.decoding import POLICIES, Decoder, DecodingPolicy
from pipeline.errors import InputError
from training.checkpoint import Checkpoint, read_checkpoint


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--params_path", default="./checkpoint/", help="the checkpoint's folder, or its parameter file (%(default)s)")
    add("--output_path", default="./export", help="where the export is written (%(default)s)")
    add("--num_classes", type=int, help="number of labels, to check the checkpoint against")
    add("--model_name", help="accepted for older command lines; the checkpoint knows its model")
    add("--policy", choices=POLICIES, help="how servers make label sets consistent (default: what training chose)")
    add(
        "--at_least_one",
        action=argparse.BooleanOptionalAction,
        help="answer every text with at least one label (default: what training chose)",
    )
    add("--top_k", type=int, help="answer with at most this many labels")
    add("--threshold", type=float, help="score from which a label counts (default: what training chose)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    checkpoint = read_checkpoint(args.params_path)
    if args.num_classes not in (None, len(checkpoint.hierarchy)):
        raise InputError(
            f"--num_classes is {args.num_classes}; {args.params_path} has {len(checkpoint.hierarchy)} labels"
        )
    decoder = chosen_decoder(args, checkpoint)
    # Importing paddle takes seconds: what was asked for is judged first.
    from training.export import export

    bundle = export(checkpoint, Path(args.output_path), decoder)
    print(f"exported bundle {bundle.identity} to {args.output_path}: {', '.join(bundle.files)}")


def chosen_decoder(args: argparse.Namespace, checkpoint: Checkpoint) -> Decoder:
    """The checkpoint's own decoder, but for what the command line says; raises InputError as `Decoder` does."""
    trained = checkpoint.decoder()
    at_least_one = trained.policy.at_least_one if args.at_least_one is None else args.at_least_one
    policy = DecodingPolicy(args.policy or trained.policy.policy, at_least_one, args.top_k)
    return Decoder(checkpoint.hierarchy, trained.thresholds if args.threshold is None else args.threshold, policy)


if __name__ == "__main__":
    run(main)
