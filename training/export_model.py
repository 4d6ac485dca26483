"""Export a checkpoint: static graph, ONNX graph, and the bundle that every server loads.

python training/export_model.py --params_path ./checkpoint/ --output_path ./export
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pipeline.command import run
from pipeline.errors import InputError
from training.checkpoint.files import read_checkpoint
from training.options import add_decoding_options, chosen_decoder


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--params_path", default="./checkpoint/", help="the checkpoint's folder, or its parameter file (%(default)s)")
    add("--output_path", default="./export", help="where the export is written (%(default)s)")
    add("--num_classes", type=int, help="number of labels, to check the checkpoint against")
    add("--model_name", help="accepted for older command lines; the checkpoint knows its model")
    add_decoding_options(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    checkpoint = read_checkpoint(args.params_path)
    if args.num_classes not in (None, len(checkpoint.hierarchy)):
        raise InputError(
            f"--num_classes is {args.num_classes}; {args.params_path} has {len(checkpoint.hierarchy)} labels"
        )
    decoder = chosen_decoder(checkpoint.decoder(), args)
    # Importing paddle takes seconds: what was asked for is judged first.
    from training.checkpoint.export import export

    bundle = export(checkpoint, Path(args.output_path), decoder)
    print(f"exported bundle {bundle.identity} to {args.output_path}: {', '.join(bundle.files)}")


if __name__ == "__main__":
    run(main)
