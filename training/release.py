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


def release(options: ReleaseOptions) -> Bundle:
    """Measure all candidates, print their table, and write the fastest that passes, with the table, as a bundle.

    Raises:
        InputError: a bundle, the checkpoint or the labelled file cannot be used, or they are of different labels.
        EnvironmentFault: the machine lacks the device.
        ClassifierError: no candidate passes; nothing is written.
    """
    return release_fastest(options)


def parse_args(argv: Sequence[str] | None) -> ReleaseOptions:
    return parse(ReleaseOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    release(parse_args(argv))


if __name__ == "__main__":
    run(main)
