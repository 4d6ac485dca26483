"""What may be released, what it must reach, and where to it is released."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.compute.runtimes import PADDLE, PRECISIONS, RUNTIMES
from pipeline.files.bundle import MANIFEST_FILE
from pipeline.files.dataset import DEV_FILE
from pipeline.option_values import AUTO
from pipeline.options import option
from pipeline.run_folder import RUNS, RunFolderOptions
from training.gate.verdict import BOTH, USES, Allowances
from training.options import DeviceOptions


def pruned_bundles(run: Path) -> list[Path]:
    """The bundles of all widths that `prune.py` left in the folder of a run."""
    return sorted(manifest.parent for manifest in (run / "prune").glob(f"*/{MANIFEST_FILE}"))


@dataclass(frozen=True)
class MeasuringOptions(Allowances):
    """What is measured, and what it is to be fast for."""

    runtime: str = option(AUTO, "library to release for; auto measures all", choices=(AUTO, *RUNTIMES, PADDLE))
    paddle_serving: bool = option(False, "measure what Paddle Serving computes with, too")
    precision: str = option(AUTO, "number format to release; auto measures all", choices=(AUTO, *PRECISIONS))
    use: str = option(
        BOTH,
        "what it is to be fast for: single texts, texts in bulk, of which 32 are computed together, or both: then the "
        "one that is nowhere far behind the fastest",
        choices=USES,
        aliases=("for",),
    )
    num_threads: int | None = option(None, "processor threads (one per core)", at_least=1)
    rounds: int = option(7, "interleaved rounds of timing", at_least=1)

    @property
    def runtimes(self) -> Sequence[str]:
        """Those that are measured."""
        named = RUNTIMES if self.runtime == AUTO else (self.runtime,)
        return (*named, PADDLE) if self.paddle_serving and PADDLE not in named else named

    @property
    def precisions(self) -> Sequence[str]:
        """Those that are measured."""
        return PRECISIONS if self.precision == AUTO else (self.precision,)


@dataclass(frozen=True)
class ReleaseOptions(MeasuringOptions, DeviceOptions, RunFolderOptions):
    """What is measured, what it must reach, and where the best is written."""

    dataset_dir: Path = option(help="folder with --dev_file")
    dev_file: str = option(DEV_FILE, "labelled file in --dataset_dir to measure on")
    params_path: Path = option(
        "./checkpoint/", "the float32 checkpoint, or a bundle, to compare with", in_run="checkpoint"
    )
    bundles: tuple[Path, ...] = option(
        ("./export",), "exports and pruned models to choose from; with --run also runs/NAME/prune/*", in_run="export"
    )
    output_path: Path = option("./release", "where the bundle to publish is written", in_run="release")

    def __post_init__(self) -> None:
        of_run = self.run and not self.given("bundles")
        super().__post_init__()
        if of_run:
            object.__setattr__(self, "bundles", (*self.bundles, *pruned_bundles(RUNS / str(self.run))))

    @property
    def labelled(self) -> Path:
        """The file to measure on."""
        return self.dataset_dir / self.dev_file
