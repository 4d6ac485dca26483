"""A training run: from its options to the best checkpoint."""

from __future__ import annotations

import itertools
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import paddle

from pipeline.errors import InputError
from pipeline.files.dataset import DATA_FILE, read_examples, read_labels, read_texts
from pipeline.labels.decoding import Decoder
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.text.encoding import TextEncoder
from pipeline.text.normalisation import normalise
from pipeline.text.tokeniser_files import checkpoint_tokeniser
from training.checkpoint.files import Checkpoint, TrainingRecord, read_checkpoint, write_checkpoint
from training.data.encoded import EncodedDataset, describe, read_encoded, repetitions, shared_texts
from training.data.reading import label_notes, measure_reading
from training.loop.distributed import ProcessGroup
from training.loop.interruptible import check_places, run_identity, run_interruptibly
from training.loop.options import TrainingRun
from training.loop.recipe import with_recipe
from training.loop.state import RunFiles
from training.loop.teaching import add_taught_rows
from training.loop.trainer import Trainer
from training.model.device import use_device
from training.model.encoders import check_length, create_model
from training.model.initialisation import initialise, standardise, start_from_frequencies
from training.model.model_names import SCRATCH, contradict
from training.options import RunOptions

SAMPLE_TEXTS = 32
"""Taken all over the development file: its first rows may be of one label."""


def run_training(options: TrainingRun, started: float) -> Checkpoint:
    """Train, and keep the best model in `save_dir`; see `training.train.train`, which was called at `started`."""
    save_dir = options.real_save_dir
    check_places(save_dir, "--save_dir")
    use_device(options.device)
    group = ProcessGroup.join()
    set_seed(options.seed)
    hierarchy = read_labels(options.folder / options.label_file)
    options, choices = with_recipe(options, hierarchy, group.size)
    for choice in choices if group.leads else ():
        print(choice)
    names = [
        options.train_file,
        options.dev_file,
        options.label_file,
        *[options.unlabelled_file] * learns_words(options),
    ]
    inputs = [*(options.folder / name for name in names), *(options.teachers or ())]
    with tempfile.TemporaryDirectory() as tokeniser_folder:
        best = run_interruptibly(
            save_dir,
            group,
            run_identity(options, group, inputs),
            lambda files: create_trainer(options, hierarchy, Path(tokeniser_folder), group, files),
            resume=options.resume,
            overwrite=options.overwrite,
        )
    if group.leads:
        print(
            f"best on dev: micro F1 {best['micro_f1']:.4f}, macro F1 {best['macro_f1']:.4f}; kept in "
            f"{options.save_dir} after {time.monotonic() - started:.0f} s"
        )
        if not best["micro_f1"]:
            print("warning: the model finds no label of dev; train for more --epochs, or with another --learning_rate")
        print(f"decoding: {read_checkpoint(save_dir).decoder().in_words()}")
    return read_checkpoint(save_dir)


def learns_words(options: TrainingRun) -> bool:
    """Whether the texts of --unlabelled_file are read; data.txt may be absent, a file that was asked for may not."""
    asked = options.unlabelled_file != DATA_FILE
    return options.model_name in SCRATCH and (asked or (options.folder / DATA_FILE).exists())


def create_trainer(
    options: TrainingRun, hierarchy: LabelHierarchy, tokeniser_folder: Path, group: ProcessGroup, files: RunFiles
) -> Trainer:
    """Read the dataset, make the model, and put both together; raises as `training.train.train` does."""
    train_path, dev_path = options.folder / options.train_file, options.folder / options.dev_file
    unlabelled = list(read_texts(options.folder / options.unlabelled_file)) if learns_words(options) else []
    texts = itertools.chain((example.text for example in read_examples(train_path, hierarchy)), unlabelled)
    normalised = (normalise(text, options.normalisation) for text in texts)
    length, start = options.max_seq_length, options.init_from_ckpt
    if start:
        model = load_checkpoint(start, options, hierarchy, tokeniser_folder)
    else:
        model = create_model(
            options.model_name, len(hierarchy), length, normalised, tokeniser_folder, options.trim_vocabulary
        )
    encoder = TextEncoder(options.normalisation, checkpoint_tokeniser(tokeniser_folder, length))
    train_set, dev_set = read_encoded(train_path, hierarchy, encoder), read_encoded(dev_path, hierarchy, encoder)
    if group.leads:
        report(train_path, train_set, dev_path, dev_set, hierarchy, encoder)
    if options.teachers:
        labelled, train_set = len(train_set), add_taught_rows(train_set, dev_set, options.teachers, hierarchy, encoder)
        if group.leads:
            print(f"{len(train_set) - labelled} more texts with the labels of {len(options.teachers)} teachers")
    if not start:
        start_from_frequencies(model, train_set.labels)
        if options.model_name in SCRATCH:
            initialise(model, [*train_set.rows, *encoder.encode(unlabelled)], options.seed)
        elif getattr(model, "has_new_pooler", False):
            standardise(model, train_set.rows)

    def keep(scores: dict[str, Any], decoder: Decoder) -> None:
        record = run_record(options, options.model_name, encoder, scores, decoder, train_set, dev_set)
        write_checkpoint(options.real_save_dir, model, tokeniser_folder, hierarchy, record)

    return Trainer(
        *(model, encoder.tokeniser, train_set, dev_set, hierarchy, options, files, keep, group),
        start_competes=start is not None,
    )


def report(
    train_path: Path,
    train_set: EncodedDataset,
    dev_path: Path,
    dev_set: EncodedDataset,
    hierarchy: LabelHierarchy,
    encoder: TextEncoder,
) -> None:
    """Say what was read of train and dev, and what in them is doubtful."""
    for path, dataset in ((train_path, train_set), (dev_path, dev_set)):
        print(f"{path}: {dataset.report.summary()}")
        if doubts := repetitions(dataset, encoder):
            print(f"warning: {path}: {doubts}")
    if shared := shared_texts(train_set, dev_set, encoder):
        print(
            f"warning: {shared} of {len(dev_set)} rows of {dev_path} stand in {train_path} too: the figures on it are "
            "better than on new texts"
        )
    for note in measure_reading(train_set.texts, encoder).notes(train_path):
        print(note)
    for note in label_notes(train_path, hierarchy, train_set.labels, dev_set.labels):
        print(note)


def run_record(
    options: RunOptions,
    model_name: str,
    encoder: TextEncoder,
    scores: dict[str, Any],
    decoder: Decoder,
    train_set: EncodedDataset,
    dev_set: EncodedDataset,
) -> TrainingRecord:
    """What is to be remembered of a model that was the best so far; see `training.checkpoint.files.TrainingRecord`."""
    same = len(set(decoder.thresholds.tolist())) == 1
    thresholds = tuple(round(float(threshold), 6) for threshold in decoder.thresholds[: 1 if same else None])
    samples = min(SAMPLE_TEXTS, len(dev_set))
    return TrainingRecord(
        model_name=model_name,
        max_seq_length=encoder.tokeniser.max_length,
        normalisation=encoder.normalisation,
        options=options.record(),
        metrics={"dev": scores},
        sample_texts=tuple(dev_set.texts[len(dev_set) * each // samples] for each in range(samples)),
        thresholds=thresholds,
        decoding=decoder.policy,
        data=describe(options.folder, options.train_file, train_set, options.dev_file, dev_set),
    )


def set_seed(seed: int) -> None:
    """Seed every random generator that training uses."""
    random.seed(seed)
    np.random.seed(seed)
    paddle.seed(seed)


def load_checkpoint(
    path: Path, options: TrainingRun, hierarchy: LabelHierarchy, tokeniser_folder: Path
) -> paddle.nn.Layer:
    """The model of the checkpoint with the parameters at `path`, its tokeniser's files copied to `tokeniser_folder`.

    Raises:
        InputError: its checkpoint is of another encoder or other labels.
        BundleError: it lies in no checkpoint, or differs from its checksum there; loading it could run foreign code.
    """
    checkpoint = read_checkpoint(path)
    if contradict(options.model_name, checkpoint.record.model_name):
        raise InputError(
            f"--init_from_ckpt {path} was trained with --model_name {checkpoint.record.model_name}, "
            f"not {options.model_name}"
        )
    labels = checkpoint.hierarchy.labels
    if labels != hierarchy.labels:
        first = next(pair for pair in itertools.zip_longest(labels, hierarchy.labels) if pair[0] != pair[1])
        raise InputError(
            f"--init_from_ckpt {path} was trained with other labels: where it has {first[0]!r}, the "
            f"dataset has {first[1]!r}; give the same label file, or its folder as --model_name to keep the encoder "
            "alone"
        )
    checkpoint.copy_tokeniser(tokeniser_folder)
    model = checkpoint.model()
    check_length(model, str(path), options.max_seq_length)
    return model
