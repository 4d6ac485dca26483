"""A pruning run: from its options to a bundle for each width."""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import paddle

from pipeline.compute.windows import Windows
from pipeline.errors import InputError
from pipeline.files.bundle import MANIFEST_FILE, Bundle
from pipeline.files.checksums import CHECKSUM_FILE
from pipeline.files.dataset import read_texts
from pipeline.labels.decoding import Decoder
from pipeline.run_folder import state_folder
from pipeline.text.long_texts import WINDOWS
from training.checkpoint.classifier import check_labels
from training.checkpoint.export import export_checkpoint, label_texts
from training.checkpoint.files import RECORD_FILE, Checkpoint, read_checkpoint, write_checkpoint
from training.data.encoded import EncodedDataset, read_encoded
from training.data.row_collector import new_texts
from training.loop.distillation import Distillation
from training.loop.distributed import ProcessGroup
from training.loop.interruptible import (
    Resumable,
    check_interrupted,
    check_places,
    run_identity,
    run_interruptibly,
)
from training.loop.losses import binary_cross_entropy
from training.loop.run import complete, report, run_record, set_seed
from training.loop.state import RunFiles
from training.loop.trainer import Trainer
from training.model.device import full_card_told, use_device
from training.model.encoders import check_length
from training.model.model_names import AUTO, FIRST
from training.model.pretrained.trimming import NEVER
from training.model.width import folder_name
from training.pruning.importance import LayerImportance, measure_importance
from training.pruning.options import PADDLESLIM, PruningRun
from training.pruning.selection import prune

RUN_KEY = "run_identity"
"""Of a checkpoint's record, beside the options, of which one is called `run`."""


def prune_widths(options: PruningRun, checkpoint: Checkpoint, started: float) -> list[Bundle]:
    """Prune a whole checkpoint to each width; see `training.prune.prune`, which was called at `started`."""
    folders = {width: Path(os.path.realpath(options.output_dir / folder_name(width))) for width in options.widths}
    for folder in folders.values():
        check_places(folder, "--output_dir", checkpoint.path)
        check_interrupted(folder, options.resume or options.overwrite)
    check_labels(options.folder / options.label_file, checkpoint.hierarchy)
    use_device(options.device)
    group = ProcessGroup.join()
    with full_card_told():
        pruning = Pruning(options, checkpoint, group, started)
        bundles = [pruning.run(width, folder) for width, folder in folders.items()]
    if group.leads:
        for line in options.publish(bundles[-1].path):
            print(line)
    return bundles


class Pruning:
    """What the widths of one run have in common: the data, the teacher, what matters in it.

    Raises:
        InputError, DatasetError: the files cannot be used.
        EnvironmentFault: paddleslim is asked for, and not installed.
    """

    def __init__(self, options: PruningRun, checkpoint: Checkpoint, group: ProcessGroup, started: float) -> None:
        self._options, self._checkpoint, self._group, self._started = options, checkpoint, group, started
        thresholds = options.thresholds or checkpoint.record.options.get("thresholds", "fixed")
        least = checkpoint.record.decoding.at_least_one
        linear = NEVER if checkpoint.record.encoder_weight is None else AUTO
        self._loop = options.loop(
            save_steps=options.save_steps, thresholds=thresholds, at_least_one=least, linear=linear
        )
        if options.engine == PADDLESLIM:
            if checkpoint.record.long_texts.way == WINDOWS:
                raise InputError("--engine paddleslim reads no text in windows; take --engine student")
            from training.pruning.paddleslim_engine import prepare_paddleslim

            prepare_paddleslim(group, checkpoint.model_config.get("pooling", FIRST))
        train_path, dev_path = options.folder / options.train_file, options.folder / options.dev_file
        self._inputs = [train_path, dev_path, checkpoint.path / CHECKSUM_FILE]
        self._teacher = checkpoint.model()
        length = options.max_seq_length or checkpoint.record.max_seq_length
        check_length(self._teacher, str(options.params_dir), length)
        self._encoder = checkpoint.encoder(length)
        self._train, self._dev = (
            read_encoded(path, checkpoint.hierarchy, self._encoder, options.negatives)
            for path in (train_path, dev_path)
        )
        if group.leads:
            report(train_path, self._train, dev_path, self._dev, checkpoint.hierarchy, self._encoder)
        if options.unlabelled_file:
            unlabelled_path = options.folder / options.unlabelled_file
            self._inputs.append(unlabelled_path)
            self._train = self._with_unlabelled(list(read_texts(unlabelled_path)))
        if options.goldens:
            self._inputs.append(options.goldens)
        # Those that a pruned checkpoint, and so its bundle, keeps; None for texts of the development file.
        self._kept_texts = options.golden_texts if options.golden_texts != [] else label_texts(checkpoint)

    def _with_unlabelled(self, texts: list[str]) -> EncodedDataset:
        """The training rows and texts whose labels do not matter: the teacher says what is to be learnt."""
        train = self._train
        new = new_texts(texts, (*train.texts, *self._dev.texts), self._encoder.words)
        if self._group.leads:
            print(f"{len(new)} more texts without labels")
        labels = np.concatenate([train.labels, np.zeros((len(new), train.labels.shape[1]), train.labels.dtype)])
        return replace(train, texts=[*train.texts, *new], rows=[*train.rows, *self._encoder.encode(new)], labels=labels)

    def run(self, width: Fraction, folder: Path) -> Bundle:
        """Prune to one width, and leave the checkpoint and the bundle of the best student in `folder`."""
        options, group = self._options, self._group
        identity = {**run_identity(options, group, self._inputs), "--width_mult": str(width)}
        unfinished = state_folder(folder).exists()
        if not options.resume or unfinished or _run_of(folder) != identity:
            set_seed(options.seed)
            with tempfile.TemporaryDirectory() as tokeniser_folder:
                self._checkpoint.copy_tokeniser(Path(tokeniser_folder))
                run_interruptibly(
                    folder,
                    group,
                    identity,
                    lambda files: self._create_trainer(width, folder, Path(tokeniser_folder), files),
                    lambda _: complete(folder, self._train, self._dev, self._loop),
                    resume=options.resume and unfinished,
                    overwrite=options.overwrite,
                )
        if group.leads:
            student = read_checkpoint(folder)
            if not (folder / MANIFEST_FILE).exists():
                export_checkpoint(student, folder, student.decoder(), keep_checkpoint=True)
            scores = student.record.metrics["dev"]
            print(
                f"width {width}: dev micro F1 {scores['micro_f1']:.4f}, macro F1 {scores['macro_f1']:.4f}; checkpoint "
                f"and bundle in {folder} after {time.monotonic() - self._started:.0f} s"
            )
            print(options.in_words(len(student.record.sample_texts)))
            print(f"decoding: {student.decoder().in_words()}")
        group.wait()
        return Bundle(folder)

    @cached_property
    def _importance(self) -> list[LayerImportance]:
        batch_size = self._options.per_device_eval_batch_size
        windows = Windows.of(self._encoder)
        return measure_importance(self._teacher, self._dev, binary_cross_entropy, batch_size, windows)

    def _create_trainer(self, width: Fraction, folder: Path, tokeniser_folder: Path, files: RunFiles) -> Resumable:
        hierarchy, own = self._checkpoint.hierarchy, self._checkpoint.record

        def keep(student: paddle.nn.Layer, scores: dict[str, Any], decoder: Decoder) -> None:
            record = run_record(
                *(self._options, own.model_name, self._encoder, scores, decoder, self._train, self._dev)
            )
            texts = record.sample_texts if self._kept_texts is None else tuple(self._kept_texts)
            more = {**record.options, RUN_KEY: files.identity}
            history = own.label_history
            record = replace(record, width=str(width), options=more, sample_texts=texts, label_history=history)
            write_checkpoint(folder, student, tokeniser_folder, hierarchy, record)

        data = (self._train, self._dev, hierarchy)
        if self._options.engine == PADDLESLIM:
            from training.pruning.paddleslim_engine import PaddleslimTrainer

            batch_size = self._options.per_device_eval_batch_size
            return PaddleslimTrainer(self._teacher, width, *data, self._loop, batch_size, files, keep, self._group)
        student = prune(self._teacher, self._importance, width)
        return Trainer(
            *(student, self._encoder.tokeniser, *data, self._loop, files),
            lambda scores, decoder: keep(student, scores, decoder),
            self._group,
            Distillation(self._teacher, student),
            pools=(self._encoder.long_texts.pool,),
        )


def _run_of(folder: Path) -> dict[str, Any] | None:
    """The identity of the run that has left a checkpoint in `folder`."""
    return read_checkpoint(folder).record.options.get(RUN_KEY) if (folder / RECORD_FILE).exists() else None
