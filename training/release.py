"""The release gate: measure every width, runtime and precision on dev, refuse what is worse, release the fastest.

python training/release.py --dataset_dir data --params_path ./checkpoint --bundles ./export ./prune/0.75 ./prune/0.5
python training/release.py --dataset_dir data --run orders --for single
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.command import run
from pipeline.files.bundle import Bundle
from pipeline.options import parse
from training.gate.options import ReleaseOptions
from training.gate.run import release_fastest
from training.gate.verdict import CHECKPOINT


def release(options: ReleaseOptions, compared: str = CHECKPOINT) -> Bundle:
    """Measure all candidates, print their table, and write the fastest that passes, with the table, as a bundle.

    Args:
        options: what is measured, with what it is compared, and what it must reach.
        compared: what `params_path` is called in refusals.

    Raises:
        InputError: a bundle, the checkpoint or the labelled file cannot be used, or they are of different labels.
        EnvironmentFault: the machine lacks the device.
        NothingPasses: no candidate does; nothing is written.
    """
    return release_fastest(options, compared)


def parse_args(argv: Sequence[str] | None) -> ReleaseOptions:
    return parse(ReleaseOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    release(parse_args(argv))


if __name__ == "__main__":
    run(main)
