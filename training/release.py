"""The release gate: measure every width, runtime and precision on dev, refuse what is worse, release the fastest.

python training/release.py --dataset_dir data --params_path ./checkpoint --bundles ./export ./prune/0.75 ./prune/0.5 \
    --output_path ./release
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pipeline.command import run
from pipeline.compute.runtimes import PADDLE, PRECISIONS, RUNTIMES
from pipeline.errors import InputError
from pipeline.files.dataset import DEV_FILE
from training.gate.run import GateOptions, release
from training.gate.verdict import Allowances
from training.options import DEVICES


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add("--device", choices=DEVICES, default="cpu", help="what the checkpoint computes on")
    add("--dataset_dir", required=True, help="folder with the labelled file to measure on")
    add("--dev_file", default=DEV_FILE, help="that file")
    add("--params_path", default="./checkpoint/", help="the float32 checkpoint, or a bundle, to compare with")
    add("--bundles", nargs="+", default=["./export"], help="exports and pruned models to choose from")
    add("--output_path", default="./release", help="where the bundle to publish is written")
    add("--runtime", choices=("auto", *RUNTIMES, PADDLE), default="auto", help="to release; auto measures all")
    add("--paddle_serving", action="store_true", help="measure what Paddle Serving computes with, too")
    add("--precision", choices=("auto", *PRECISIONS), default="auto", help="precision to release; auto measures all")
    add("--allowance_half", type=float, default=0.1, help="points of F1 that bfloat16 and float16 may lose")
    add("--allowance_int8", type=float, default=0.5, help="points of F1 that int8 may lose")
    add("--allowance_width", type=float, help="points of F1 that any candidate may lie below the checkpoint (any)")
    add("--agreement", type=float, default=99.5, help="percent of the texts that must keep their float32 label set")
    add("--latency_at", type=int, choices=(1, 32), default=32, help="batch size whose latency decides")
    add("--num_threads", type=int, help="processor threads (one per core)")
    add("--rounds", type=int, default=7, help="interleaved rounds of timing")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    for name in ("rounds", "num_threads"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise InputError(f"--{name} is {value}; it must be at least 1")
    runtimes = RUNTIMES if args.runtime == "auto" else (args.runtime,)
    if args.paddle_serving and PADDLE not in runtimes:
        runtimes = (*runtimes, PADDLE)
    options = GateOptions(
        allowances=Allowances(args.allowance_half, args.allowance_int8, args.allowance_width, args.agreement),
        runtimes=runtimes,
        precisions=PRECISIONS if args.precision == "auto" else (args.precision,),
        latency_at=args.latency_at,
        threads=args.num_threads,
        rounds=args.rounds,
    )
    bundles = [Path(path) for path in args.bundles]
    labelled = Path(args.dataset_dir) / args.dev_file
    release(Path(args.params_path), args.device, labelled, bundles, Path(args.output_path), options)


if __name__ == "__main__":
    run(main)
