"""A pruning run: from the command line's options to a bundle for each width."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from pipeline.files.bundle import MANIFEST_FILE
from pipeline.files.checksums import CHECKSUM_FILE
from pipeline.files.dataset import read_texts
from pipeline.labels.decoding import Decoder
from training.checkpoint.classifier import check_labels
from training.checkpoint.export import export_checkpoint
from training.checkpoint.files import RECORD_FILE, Checkpoint, read_checkpoint, write_checkpoint
from training.data.encoded import EncodedDataset, read_encoded
from training.loop.distillation import Distillation
from training.loop.distributed import ProcessGroup
from training.loop.interruptible import check_interrupted, check_places, run_identity, run_interruptibly, state_folder
from training.loop.losses import binary_cross_entropy
from training.loop.options import LoopOptions
from training.loop.run import report, run_record, set_seed
from training.loop.state import RunFiles
from training.loop.trainer import Trainer
from training.model.device import use_device
from training.model.encoders import check_length
from training.model.width import folder_name
from training.pruning.importance import measure_importance
from training.pruning.selection import prune


def prune_widths(
    args: argparse.Namespace, checkpoint: Checkpoint, options: LoopOptions, widths: Sequence[Fraction]
) -> None:
    """Prune a checkpoint to each width as the options of `prune.py` say.

    Raises:
        InputError: the dataset does not fit the checkpoint, or a folder must not be written.
        EnvironmentFault: the device is not to be had, or the disk is full.
        ClassifierError: the loss is no longer finite, or an exported graph differs from its checkpoint.
    """
    folders = {width: Path(os.path.abspath(args.output_dir)) / folder_name(width) for width in widths}
    for folder in folders.values():
        check_places(folder, "--output_dir")
        check_interrupted(folder, args.resume or args.overwrite)
    check_labels(Path(args.dataset_dir) / args.label_file, checkpoint.hierarchy)
    use_device(args.device)
    pruning = Pruning(args, checkpoint, options, ProcessGroup.join())
    for width, folder in folders.items():
        pruning.run(width, folder)


class Pruning:
    """What the widths of one command have in common: the data, the teacher, what matters in it.

    Raises:
        InputError, DatasetError: the files cannot be used.
    """

    def __init__(
        self, args: argparse.Namespace, checkpoint: Checkpoint, options: LoopOptions, group: ProcessGroup
    ) -> None:
        self.args, self.checkpoint, self.options, self.group = args, checkpoint, options, group
        train_path, dev_path = (Path(args.dataset_dir) / name for name in (args.train_file, args.dev_file))
        self._inputs = [train_path, dev_path, checkpoint.path / CHECKSUM_FILE]
        self._teacher = checkpoint.model()
        check_length(self._teacher, args.params_dir, args.max_seq_length)
        self._encoder = checkpoint.encoder(args.max_seq_length)
        self._train, self._dev = (
            read_encoded(path, checkpoint.hierarchy, self._encoder) for path in (train_path, dev_path)
        )
        if group.leads:
            report(train_path, self._train, dev_path, self._dev)
        if args.unlabelled_file:
            unlabelled_path = Path(args.dataset_dir) / args.unlabelled_file
            self._inputs.append(unlabelled_path)
            self._train = self._with_unlabelled(list(read_texts(unlabelled_path)))
        self._importance = measure_importance(
            self._teacher, self._dev, binary_cross_entropy, args.per_device_eval_batch_size
        )

    def _with_unlabelled(self, texts: list[str]) -> EncodedDataset:
        """The training rows and texts whose labels do not matter: the teacher says what is to be learnt."""
        train = self._train
        known = {*train.texts, *self._dev.texts}
        new = [text for text in dict.fromkeys(texts) if text not in known]
        if self.group.leads:
            print(f"{len(new)} more texts without labels")
        labels = np.concatenate([train.labels, np.zeros((len(new), train.labels.shape[1]), train.labels.dtype)])
        return replace(train, texts=[*train.texts, *new], rows=[*train.rows, *self._encoder.encode(new)], labels=labels)

    def run(self, width: Fraction, folder: Path) -> None:
        """Prune to one width, and leave the checkpoint and the bundle of the best student in `folder`."""
        args, group = self.args, self.group
        identity = {**run_identity(_recorded(args), group, self._inputs), "--width_mult": str(width)}
        unfinished, started = state_folder(folder).exists(), time.monotonic()
        if not args.resume or unfinished or _run_of(folder) != identity:
            set_seed(args.seed)
            resume = args.resume and unfinished
            with tempfile.TemporaryDirectory() as tokeniser_folder:
                self.checkpoint.copy_tokeniser(Path(tokeniser_folder))
                run_interruptibly(
                    folder,
                    group,
                    identity,
                    lambda files: self._create_trainer(width, folder, Path(tokeniser_folder), files),
                    resume=resume,
                    overwrite=args.overwrite,
                )
        if group.leads:
            student = read_checkpoint(folder)
            if not (folder / MANIFEST_FILE).exists():
                export_checkpoint(student, folder, student.decoder(), keep_checkpoint=True)
            scores = student.record.metrics["dev"]
            print(
                f"width {width}: dev micro F1 {scores['micro_f1']:.4f}, macro F1 {scores['macro_f1']:.4f}; checkpoint "
                f"and bundle in {folder} after {time.monotonic() - started:.0f} s"
            )
        group.wait()

    def _create_trainer(self, width: Fraction, folder: Path, tokeniser_folder: Path, files: RunFiles) -> Trainer:
        hierarchy, own = self.checkpoint.hierarchy, self.checkpoint.record
        student = prune(self._teacher, self._importance, width)

        def keep(scores: dict[str, Any], decoder: Decoder) -> None:
            record = run_record(
                _recorded(self.args), own.model_name, own.normalisation, scores, decoder, self._train, self._dev
            )
            record = replace(record, width=str(width), options={**record.options, "run": files.identity})
            write_checkpoint(folder, student, tokeniser_folder, hierarchy, record)

        return Trainer(
            student,
            self._encoder.tokeniser,
            self._train,
            self._dev,
            hierarchy,
            self.options,
            files,
            keep,
            self.group,
            Distillation(self._teacher, student),
        )


def _recorded(args: argparse.Namespace) -> Any:
    return SimpleNamespace(**vars(args), record=lambda: vars(args))


def _run_of(folder: Path) -> dict[str, Any] | None:
    """The identity of the run that has left a checkpoint in `folder`."""
    return read_checkpoint(folder).record.options.get("run") if (folder / RECORD_FILE).exists() else None
