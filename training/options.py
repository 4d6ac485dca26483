"""Options that several commands share."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.errors import ClassifierError, InputError
from pipeline.files.bundle import MANIFEST_FILE
from pipeline.files.dataset import DEV_FILE, KEEP, LABEL_FILE, REFUSE, TRAIN_FILE, file_in, is_path, read_texts
from pipeline.files.manifest import MOST_GOLDENS
from pipeline.labels.decoding import POLICIES, Decoder
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.option_values import AUTO
from pipeline.options import Options, option
from pipeline.output import counted
from pipeline.run_folder import RunFolderOptions
from training.checkpoint.classifier import Classifier, load_classifier
from training.checkpoint.files import read_checkpoint
from training.data.named_datasets import NAMES, dataset_folder
from training.data.reading import check_readable
from training.model.model_names import DEVICES


@dataclass(frozen=True)
class DeviceOptions(Options):
    """What computes."""

    device: str = option(AUTO, "what to compute on; auto: a GPU where paddle sees one, else the CPU", choices=DEVICES)


@dataclass(frozen=True)
class SeedOptions(Options):
    """What makes random choices repeatable."""

    seed: int = option(3, "random seed", at_least=0, at_most=(1 << 32) - 1)


@dataclass(frozen=True)
class ModelOptions(DeviceOptions, RunFolderOptions):
    """Which trained model, and how it computes."""

    params_path: Path = option(
        "./checkpoint/", "a checkpoint, its parameter file, or a bundle, which takes the CPU", in_run="checkpoint"
    )
    max_seq_length: int | None = option(
        None, "tokens that the model takes at once (as many as in training)", at_least=3, at_most=2048
    )
    batch_size: int = option(32, "texts of --max_seq_length tokens in a batch; it holds more shorter ones", at_least=1)

    def classifier(self, check: Callable[[LabelHierarchy, str], None]) -> Classifier:
        """The model; `check` and what is raised are as for `load_classifier`."""
        return load_classifier(self.params_path, self.device, self.max_seq_length, self.batch_size, check)


@dataclass(frozen=True)
class TrainedModelOptions(ModelOptions):
    """Which trained model, on which dataset folder."""

    dataset_dir: Path | None = option(None, "a dataset folder (the one that the checkpoint was trained on)")

    @cached_property
    def folder(self) -> Path:
        """The dataset folder; of one that is not given, the checkpoint tells which it is, and a line says so.

        Raises:
            InputError: the checkpoint cannot be read or does not tell, or its folder is gone; or it is a bundle.
        """
        if self.dataset_dir is not None:
            return self.dataset_dir
        try:
            path = read_checkpoint(self.params_path).record.options.get("dataset_dir")
        except ClassifierError as error:
            model = self.params_path.parent if self.params_path.is_file() else self.params_path
            if (model / MANIFEST_FILE).exists():
                raise InputError(
                    f"{self.params_path} is a bundle, which does not tell its dataset folder; give --dataset_dir"
                ) from error
            raise InputError(f"{error}; a model that does not tell its dataset folder needs --dataset_dir") from error
        if not isinstance(path, str):
            raise InputError(f"{self.params_path} does not tell on which folder it was trained; give --dataset_dir")
        if not Path(path).is_dir():
            raise InputError(f"{self.params_path} was trained on {path}, which is not there; give --dataset_dir")
        print(f"dataset folder: {path}, on which {self.params_path} was trained", file=sys.stderr)
        return Path(path)

    def file(self, name: str) -> Path:
        """A file in the dataset folder, or a path, see `is_path`; raises as `folder` and `file_in` do."""
        return Path(name) if is_path(name) else file_in(self.folder, name)


@dataclass(frozen=True)
class RunOptions(SeedOptions, DeviceOptions, RunFolderOptions):
    """What a run of training or pruning learns from, and how it goes on when it was interrupted."""

    dataset_dir: Path | None = option(
        None, "folder with train.txt, dev.txt and label.txt; required unless --dataset is given"
    )
    dataset: str | None = option(None, "public dataset that is fetched, instead of --dataset_dir", choices=NAMES)
    train_file: str = option(TRAIN_FILE, "training rows in --dataset_dir")
    dev_file: str = option(DEV_FILE, "development rows in --dataset_dir")
    label_file: str = option(LABEL_FILE, "label paths in --dataset_dir")
    negatives: str = option(
        KEEP, "what is done with rows without a label: they belong nowhere, or are refused", choices=(KEEP, REFUSE)
    )
    resume: bool = option(False, "go on with the run that was interrupted")
    overwrite: bool = option(False, "begin anew: give up an interrupted run, and replace a model without keeping it")

    def check(self) -> None:
        super().check()
        if self.resume and self.overwrite:
            raise InputError("--resume goes on with an interrupted run and --overwrite gives it up; choose one")
        if (self.dataset_dir is None) == (self.dataset is None):
            raise InputError("give either --dataset_dir, a folder with train.txt, dev.txt and label.txt, or --dataset")

    def check_inputs(self, *further: str) -> None:
        """Raise InputError where --dataset_dir is no folder or a file in it cannot be read, before anything slow."""
        if self.dataset_dir is not None:
            check_readable(self.dataset_dir, (self.label_file, self.train_file, self.dev_file, *further))

    @cached_property
    def folder(self) -> Path:
        """The dataset folder; one that --dataset names is fetched on first use, see `dataset_folder`."""
        return self.dataset_dir or dataset_folder(self.dataset or "")

    def record(self) -> dict[str, Any]:
        """All options as JSON can hold them, with the dataset folder that was used."""
        values = {each.name: _as_json(getattr(self, each.name)) for each in dataclasses.fields(self)}
        return {**values, "dataset_dir": str(self.folder)}


def _as_json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_as_json(part) for part in value]
    return str(value) if isinstance(value, Path) else value


@dataclass(frozen=True)
class PublishingOptions(Options):
    """Where a bundle is published once it is made."""

    model_repository: Path | None = option(
        None, "publish the bundle to this folder, for Triton, and to DIR.paddle beside it, for Paddle Serving"
    )

    def check(self) -> None:
        super().check()
        if self.model_repository is not None and self.model_repository.is_file():
            raise InputError(f"--model_repository is {self.model_repository}, a file; give a folder")

    def publish(self, bundle: Path) -> list[str]:
        """Publish a bundle where a folder is named; what each server got, and in what it is new, a line each.

        Raises:
            ClassifierError: as `serving.publish.publish` does; the bundle stays where it was written.
        """
        if self.model_repository is None:
            return []
        from serving.publish import PublishOptions, in_words, publish

        try:
            return in_words(publish(PublishOptions(bundle=bundle, model_repository=self.model_repository)))
        except ClassifierError as error:
            raise type(error)(f"the bundle is in {bundle}, but was not published: {error}") from error


@dataclass(frozen=True)
class GoldenOptions(Options):
    """Which texts a bundle keeps to check servers with."""

    goldens: Path | None = option(
        None, "texts that the bundle keeps to check servers with, one a line (some of the development file)"
    )
    no_texts: bool = option(False, "keep no text of the development file in the bundle; check servers with label names")

    def check(self) -> None:
        super().check()
        if self.goldens and self.no_texts:
            raise InputError("--goldens names the texts that the bundle keeps, and --no_texts keeps none; choose one")

    @cached_property
    def golden_texts(self) -> list[str] | None:
        """The texts to keep; none for label names, None for those of the development file; raises InputError."""
        if self.goldens is None:
            return [] if self.no_texts else None
        texts = list(read_texts(self.goldens))
        if not 1 <= len(texts) <= MOST_GOLDENS:
            raise InputError(f"--goldens {self.goldens} has {len(texts):,} texts; give 1 to {MOST_GOLDENS:,}")
        return texts

    def in_words(self, texts: int) -> str:
        """What a bundle with so many texts holds."""
        held = counted(texts, "text")
        if self.goldens:
            return f"it holds {held} of --goldens, and none of the development file"
        if self.no_texts:
            return (
                f"it holds no text of the development file: servers are checked with {held} of label names, which "
                "tells less"
            )
        return (
            f"it holds {held} of the development file, to check servers with; --goldens FILE keeps others, --no_texts "
            "none"
        )


@dataclass(frozen=True)
class DecodingOptions(Options):
    """How scores become label sets, where not as the model itself says."""

    threshold: float | None = option(
        None, "score from which a label counts, for all labels (the model's own)", above=0, below=1
    )
    policy: str | None = option(None, "how label sets are made consistent (the model's own)", choices=POLICIES)
    at_least_one: bool | None = option(None, "answer every text with at least one label (the model's own)")
    top_k: int | None = option(None, "at most this many labels per text (the model's own)", at_least=1)

    def decoding(self) -> dict[str, Any]:
        """The options of decoding alone."""
        return {each.name: getattr(self, each.name) for each in dataclasses.fields(DecodingOptions)}

    def decoder(self, own: Decoder) -> Decoder:
        """The model's own decoder, but for what these options say."""
        return own.changed(**self.decoding()).as_own()


@dataclass(frozen=True)
class AnswerOptions(DecodingOptions):
    """How scores become label sets, where not as the model itself says; or by a promise that it holds."""

    promise: float | None = option(
        None, "answer only labels of this promised precision, one that the bundle holds", above=0, below=1
    )

    def check(self) -> None:
        super().check()
        if self.promise is not None and (given := [name for name, value in super().decoding().items() if value]):
            raise InputError(f"--promise has cut-offs of its own; leave out --{given[0]}")

    def decoding(self) -> dict[str, Any]:
        return {**super().decoding(), "promise": self.promise}

    def decoder(self, own: Decoder) -> Decoder:
        return own.changed(**super().decoding()) if self.promise is None else own.promising(self.promise)
