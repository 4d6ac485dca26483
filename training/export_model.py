"""Export a checkpoint: static graph, ONNX graph, and the bundle that every server loads.

python training/export_model.py --params_path ./checkpoint/ --output_path ./export
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pipeline.command import run
from pipeline.decoding import DEFAULT_THRESHOLD, POLICIES, Decoder, DecodingPolicy
from training.checkpoint import read_checkpoint


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--params_path", default="./checkpoint/", help="the checkpoint's folder (%(default)s)")
    parser.add_argument("--output_path", default="./export", help="where the export is written (%(default)s)")
    parser.add_argument(
        "--policy", choices=POLICIES, default="ancestors", help="how servers make label sets consistent (%(default)s)"
    )
    parser.add_argument("--at_least_one", action="store_true", help="answer every text with at least one label")
    parser.add_argument("--top_k", type=int, help="answer with at most this many labels")
    parser.add_argument(
        "--threshold", type=float, default=DEFAULT_THRESHOLD, help="score from which a label counts (%(default)s)"
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    policy = DecodingPolicy(args.policy, args.at_least_one, args.top_k)
    checkpoint = read_checkpoint(args.params_path)
    decoder = Decoder(checkpoint.hierarchy, args.threshold, policy)
    # Importing paddle takes seconds: what was asked for is judged first.
    from training.export import export

    bundle = export(checkpoint, Path(args.output_path), decoder)
    print(f"exported bundle {bundle.identity} to {args.output_path}: {', '.join(bundle.files)}")


if __name__ == "__main__":
    run(main)
