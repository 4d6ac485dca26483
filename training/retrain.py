"""Train anew with what people said of answers, and publish the model if the release gate lets it pass.

python training/retrain.py --dataset_dir data --training "--model_name build/e5 --recipe auto"
python training/retrain.py --dataset_dir data --feedback_file anna.jsonl bo.jsonl --model_repository model_repository

The steps are those of feedback.py, train.py, export_model.py, release.py and `python -m serving.publish`, all in
--output_dir. The gate compares the new model on dev.txt with the live one: where micro or macro F1 is lower by more
than is allowed, nothing is published. Give the same --dataset_dir each time: the feedback files hold all that was said.
Started again, it goes on where it was interrupted, and does nothing where nothing is new. In a program:

    from training.retrain import RetrainOptions, retrain

    retrain(RetrainOptions(dataset_dir="data", training="--model_name linear")).published
"""

from __future__ import annotations

import contextlib
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from pipeline.command import announce, run
from pipeline.errors import InputError
from pipeline.files.atomic import atomic_folder, atomic_writer
from pipeline.files.bundle import Bundle
from pipeline.files.checksums import sha256_file
from pipeline.files.dataset import TRAIN_FILE
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.options import option, parse
from pipeline.output import counted
from pipeline.records import from_fields, read_json
from pipeline.run_folder import state_folder
from serving.deployment import Deployment
from serving.publish import Published, PublishOptions, publish
from serving.servers import ServerOptions
from training.data.dataset_folder import FILES
from training.export_model import ExportOptions, export
from training.feedback import FeedbackOptions, apply
from training.gate.options import MeasuringOptions, ReleaseOptions
from training.gate.run import columns
from training.gate.verdict import CHECKPOINT, NothingPasses
from training.loop.options import TrainingRun
from training.model.model_names import LINEAR, SCRATCH
from training.model.pretrained.names import NAMED
from training.release import release
from training.train import train

PROGRESS_FILE, LOCK, GOLDENS_FILE = "progress.json", "retrain.lock", "goldens.txt"
LIVE = "the live model"


@dataclass(frozen=True)
class RetrainOptions(MeasuringOptions, ServerOptions):
    """What was said, of which dataset, how to train, and where to publish."""

    dataset_dir: Path = option(help="the dataset folder that the first model was trained with; it stays as it is")
    feedback_file: tuple[Path, ...] = option(("feedback.jsonl",), "files that the console kept corrections in")
    agreeing: int = option(1, "people who must say the same of a text", at_least=1)
    training: str | None = option(None, "options for training/train.py (--model_name of the live model)")
    output_dir: Path = option("runs/retrain", "where dataset, checkpoint, export and release are written")
    overwrite: bool = option(False, "begin anew, even where nothing is new or a run was interrupted")

    @property
    def corrected_dir(self) -> Path:
        """The dataset folder with the corrections; its name, by which models are known, is that of the first one."""
        return self.output_dir / "dataset" / self.dataset_dir.resolve().name


@dataclass(frozen=True)
class Retrained:
    """What came of it.

    Attributes:
        published: what each server got; nothing where there was nothing to learn.
        notes: what was done with the corrections, and why nothing was learnt, a sentence each.
    """

    published: list[Published]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Progress:
    """How far the retraining on certain inputs is, as a file in its folder tells.

    Attributes:
        inputs: checksums of the dataset's files, and the options of training.
        begun, trained: whether training has begun, and ended.
        bundle: identity of what was released for publishing; empty before.
    """

    inputs: dict[str, Any]
    begun: bool = False
    trained: bool = False
    bundle: str = ""

    @classmethod
    def read(cls, folder: Path, inputs: dict[str, Any]) -> _Progress:
        """What was reached with the same inputs; nothing where they were others, or the file is lost."""
        with contextlib.suppress(OSError, ValueError):
            found = from_fields(cls, read_json(folder / PROGRESS_FILE))
            if found.inputs == inputs:
                return found
        return cls(inputs)

    def write(self, folder: Path) -> None:
        with atomic_writer(folder / PROGRESS_FILE) as stream:
            stream.write(json.dumps(asdict(self), ensure_ascii=False).encode() + b"\n")


def retrain(options: RetrainOptions) -> Retrained:
    """Train with the corrections; publish what is no worse than the live model.

    Raises:
        InputError: a file or an option cannot be used, or the labels are not those of the live model.
        NothingPasses: the release gate refused the new model; what was live stays.
        EnvironmentFault, BundleError, ServerError: as the steps do.
    """
    deployments, folder = options.deployments(), options.output_dir
    served = next((each for each in deployments if each.live()), None)
    training = _training(options, served)
    from training.loop.interruptible import alone  # paddle, whose import takes seconds

    with alone(folder / LOCK):
        announce("applying corrections")
        said = options.dataset_dir, options.feedback_file, options.corrected_dir, options.agreeing
        corrected = apply(FeedbackOptions(*said, overwrite=True))
        live = _live_bundle(served, folder, corrected.hierarchy)
        sums = {name: sha256_file(path) for name in FILES if (path := corrected.folder / name).exists()}
        progress = _Progress.read(folder, {**sums, "training": _words(options, served)})
        corrections = corrected.added + corrected.changed
        if not options.overwrite and (reason := _nothing_new(corrections, progress, deployments)):
            return Retrained([], (*corrected.notes, f"nothing to learn: {reason}"))
        _train(training, progress, folder, options.overwrite)
        _export(training.save_dir, live, folder)
        released = _release(options, live)
        replace(progress, begun=True, trained=True, bundle=released.identity).write(folder)
        shared = {each.name: getattr(options, each.name) for each in fields(ServerOptions)}
        note = f"retrained with {counted(corrections, 'correction')}"
        return Retrained(publish(PublishOptions(bundle=released.path, note=note, **shared)), corrected.notes)


def _words(options: RetrainOptions, served: Deployment | None) -> list[str]:
    """Options of training, as words."""
    if options.training is not None:
        return shlex.split(options.training)
    live = served.live() if served else None
    if live is None or live.model not in (*NAMED, *SCRATCH, LINEAR):
        raise InputError(
            "--training is not given, and no live model's name says what to train; give the options that the first "
            'model was trained with, such as --training "--model_name build/e5"'
        )
    return ["--model_name", live.model]


def _training(options: RetrainOptions, served: Deployment | None) -> TrainingRun:
    fixed = {"dataset_dir": options.corrected_dir, "save_dir": options.output_dir / "checkpoint"}
    return parse(TrainingRun, [*_words(options, served), *(f"--{name}={path}" for name, path in fixed.items())])


def _live_bundle(served: Deployment | None, folder: Path, labels: LabelHierarchy) -> Path | None:
    """What is live, copied beside the rest; None before the first. Raises InputError where it has not these labels."""
    if served is None:
        print("note: nothing is published yet: the new model is compared with its own checkpoint", file=sys.stderr)
        return None
    live = served.require_live()
    with atomic_folder(folder / "live") as draft:
        hierarchy = served.bundle(live, draft).hierarchy
    if columns(hierarchy) != columns(labels):
        raise InputError(
            f"the labels of --dataset_dir are not those of the live model, version {live.number}, or stand in another "
            "order, so that both cannot be compared; train, release and publish such a model by the commands for that"
        )
    return folder / "live"


def _nothing_new(corrections: int, progress: _Progress, deployments: Sequence[Deployment]) -> str:
    """Why there is nothing to learn; empty where there is."""
    if not corrections:
        return f"no correction changes {TRAIN_FILE}"
    known = {version.bundle for each in deployments for version in each.versions()}
    if progress.bundle in known:
        return f"bundle {progress.bundle} was published with the same rows; --overwrite trains anew"
    return ""


def _train(training: TrainingRun, progress: _Progress, folder: Path, anew: bool) -> None:
    """Train; go on where the same run was interrupted, and do nothing where it has ended."""
    if progress.trained and not anew:
        print(f"{training.save_dir} is trained already")
        return
    resume = progress.begun and not anew and state_folder(training.real_save_dir).is_dir()
    replace(progress, begun=True, trained=False, bundle="").write(folder)
    train(replace(training, resume=resume, overwrite=not resume))
    replace(progress, begun=True, trained=True, bundle="").write(folder)


def _export(checkpoint: Path, live: Path | None, folder: Path) -> None:
    """Export with what the live model's export was asked for beyond thresholds and policy, which training chooses."""
    asked: dict[str, Any] = {}
    if live:
        manifest, texts = Bundle(live).manifest, folder / GOLDENS_FILE
        with atomic_writer(texts) as stream:  # of texts that were to be kept from others none is added
            stream.writelines(f"{golden.text}\n".encode() for golden in manifest.goldens)
        asked = {
            "goldens": texts,
            "at_least_one": manifest.decoding.at_least_one or None,
            "top_k": manifest.decoding.top_k,
            "promise": tuple(promise.precision for promise in manifest.promises),
            "with_examples": bool(manifest.examples),
            "license": manifest.training.get("license", ""),
        }
    try:
        export(ExportOptions(params_path=checkpoint, output_path=folder / "export", **asked))
    except InputError as error:
        if not asked.get("promise"):
            raise
        raise InputError(f"the new model has to promise as the live one does: {error}; nothing is published") from None


def _release(options: RetrainOptions, live: Path | None) -> Bundle:
    """What the gate releases, measured beside the live model, or beside its own checkpoint before the first."""
    folder = options.output_dir
    measured = ReleaseOptions(
        dataset_dir=options.corrected_dir,
        params_path=live or folder / "checkpoint",
        bundles=(folder / "export",),
        output_path=folder / "release",
        **{each.name: getattr(options, each.name) for each in fields(MeasuringOptions)},
    )
    try:
        return release(measured, LIVE if live else CHECKPOINT)
    except NothingPasses as error:
        raise NothingPasses(f"{error}; nothing is published") from error


def parse_args(argv: Sequence[str] | None) -> RetrainOptions:
    return parse(RetrainOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    retrained = retrain(parse_args(argv))
    for note in retrained.notes:
        print(f"note: {note}", file=sys.stderr)
    for published in retrained.published:
        print(published)


if __name__ == "__main__":
    run(main)
