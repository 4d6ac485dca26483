"""A training run: from the command line's options to the best checkpoint."""

from __future__ import annotations

import argparse
import itertools
import os
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
from pipeline.text.tokenisation import Tokeniser
from training.checkpoint.files import TrainingRecord, read_checkpoint, write_checkpoint
from training.data.encoded import EncodedDataset, read_encoded, repetitions, shared_texts
from training.loop.distributed import ProcessGroup
from training.loop.interruptible import check_places, run_identity, run_interruptibly
from training.loop.options import TrainingOptions
from training.loop.state import RunFiles
from training.loop.teaching import add_taught_rows
from training.loop.trainer import Trainer
from training.model.device import use_device
from training.model.encoders import check_length, create_model
from training.model.initialisation import initialise, start_from_frequencies
from training.model.model_names import SCRATCH, contradict

SAMPLE_TEXTS = 32


def train(args: argparse.Namespace, options: TrainingOptions) -> None:
    """Train as the options of `train.py` say, and keep the best model in `--save_dir`.

    Raises:
        InputError: the dataset, the model or an option cannot be used.
        EnvironmentFault: the device or a pretrained model is not to be had, or the disk is full.
        ClassifierError: the loss is no longer finite.
    """
    started = time.monotonic()
    save_dir, folder = Path(os.path.abspath(args.save_dir)), Path(args.dataset_dir)
    check_places(save_dir, "--save_dir")
    use_device(args.device)
    group = ProcessGroup.join()
    set_seed(args.seed)
    hierarchy = read_labels(folder / args.label_file)
    inputs = [folder / args.train_file, folder / args.dev_file, folder / args.label_file]
    inputs += [folder / args.unlabelled_file] * learns_words(args) + [Path(path) for path in args.teachers or ()]
    with tempfile.TemporaryDirectory() as tokeniser_folder:
        best = run_interruptibly(
            save_dir,
            group,
            run_identity(args, group, inputs),
            lambda files: create_trainer(args, options, hierarchy, Path(tokeniser_folder), group, files),
            resume=args.resume,
            overwrite=args.overwrite,
        )
    if group.leads:
        print(
            f"best on dev: micro F1 {best['micro_f1']:.4f}, macro F1 {best['macro_f1']:.4f}; kept in {args.save_dir} "
            f"after {time.monotonic() - started:.0f} s"
        )


def learns_words(args: argparse.Namespace) -> bool:
    """Whether the texts of --unlabelled_file are read; data.txt may be absent, a file that was asked for may not."""
    asked = args.unlabelled_file != DATA_FILE
    return args.model_name in SCRATCH and (asked or (Path(args.dataset_dir) / DATA_FILE).exists())


def create_trainer(
    args: argparse.Namespace,
    options: TrainingOptions,
    hierarchy: LabelHierarchy,
    tokeniser_folder: Path,
    group: ProcessGroup,
    files: RunFiles,
) -> Trainer:
    """Read the dataset, make the model, and put both together; raises as `train` does."""
    folder = Path(args.dataset_dir)
    train_path, dev_path = folder / args.train_file, folder / args.dev_file
    unlabelled = list(read_texts(folder / args.unlabelled_file)) if learns_words(args) else []
    texts = itertools.chain((example.text for example in read_examples(train_path, hierarchy)), unlabelled)
    normalised = (normalise(text, args.normalisation) for text in texts)
    if args.init_from_ckpt:
        model = load_checkpoint(args, hierarchy, tokeniser_folder)
    else:
        model = create_model(args.model_name, len(hierarchy), args.max_seq_length, normalised, tokeniser_folder)
    encoder = TextEncoder(args.normalisation, Tokeniser.from_checkpoint(tokeniser_folder, args.max_seq_length))
    train_set, dev_set = read_encoded(train_path, hierarchy, encoder), read_encoded(dev_path, hierarchy, encoder)
    if group.leads:
        report(train_path, train_set, dev_path, dev_set)
    teachers = [Path(path) for path in args.teachers or ()]
    if teachers:
        labelled, train_set = len(train_set), add_taught_rows(train_set, dev_set, teachers, hierarchy, encoder)
        if group.leads:
            print(f"{len(train_set) - labelled} more texts with the labels of {len(teachers)} teachers")
    if not args.init_from_ckpt:
        start_from_frequencies(model, train_set.labels)
        if args.model_name in SCRATCH:
            initialise(model, [*train_set.rows, *encoder.encode(unlabelled)], args.seed)

    def keep(scores: dict[str, Any], decoder: Decoder) -> None:
        record = run_record(args, args.model_name, args.normalisation, scores, decoder, dev_set)
        write_checkpoint(args.save_dir, model, tokeniser_folder, hierarchy, record)

    return Trainer(model, encoder.tokeniser, train_set, dev_set, hierarchy, options, files, keep, group)


def report(train_path: Path, train_set: EncodedDataset, dev_path: Path, dev_set: EncodedDataset) -> None:
    """Say what was read of train and dev, and what in them is doubtful."""
    for path, dataset in ((train_path, train_set), (dev_path, dev_set)):
        print(f"{path}: {dataset.report.summary()}")
        if doubts := repetitions(dataset):
            print(f"warning: {path}: {doubts}")
    if shared := shared_texts(train_set, dev_set):
        print(
            f"warning: {shared} of {len(dev_set)} rows of {dev_path} stand in {train_path} too: the figures on it are "
            "better than on new texts"
        )


def run_record(
    args: argparse.Namespace,
    model_name: str,
    normalisation: str,
    scores: dict[str, Any],
    decoder: Decoder,
    dev_set: EncodedDataset,
) -> TrainingRecord:
    """What is to be remembered of a model that was the best so far; see `training.checkpoint.files.TrainingRecord`."""
    same = len(set(decoder.thresholds.tolist())) == 1
    thresholds = tuple(round(float(threshold), 6) for threshold in decoder.thresholds[: 1 if same else None])
    return TrainingRecord(
        model_name=model_name,
        max_seq_length=args.max_seq_length,
        normalisation=normalisation,
        options=vars(args),
        metrics={"dev": scores},
        sample_texts=tuple(dev_set.texts[:SAMPLE_TEXTS]),
        thresholds=thresholds,
        decoding=decoder.policy,
    )


def set_seed(seed: int) -> None:
    """Seed every random generator that training uses."""
    random.seed(seed)
    np.random.seed(seed)
    paddle.seed(seed)


def load_checkpoint(args: argparse.Namespace, hierarchy: LabelHierarchy, tokeniser_folder: Path) -> paddle.nn.Layer:
    """The model of the checkpoint that --init_from_ckpt names, its tokeniser's files copied to `tokeniser_folder`.

    Raises:
        InputError: the file is missing, or its checkpoint is of another encoder or other labels.
        BundleError: it lies in no checkpoint, or differs from its checksum there; loading it could run foreign code.
    """
    if not Path(args.init_from_ckpt).is_file():
        raise InputError(f"--init_from_ckpt {args.init_from_ckpt} does not exist")
    checkpoint = read_checkpoint(args.init_from_ckpt)
    if contradict(args.model_name, checkpoint.record.model_name):
        raise InputError(
            f"--init_from_ckpt {args.init_from_ckpt} was trained with --model_name {checkpoint.record.model_name}, "
            f"not {args.model_name}"
        )
    labels = checkpoint.hierarchy.labels
    if labels != hierarchy.labels:
        first = next(pair for pair in itertools.zip_longest(labels, hierarchy.labels) if pair[0] != pair[1])
        raise InputError(
            f"--init_from_ckpt {args.init_from_ckpt} was trained with other labels: where it has {first[0]!r}, the "
            f"dataset has {first[1]!r}; give the same label file, or its folder as --model_name to keep the encoder "
            "alone"
        )
    checkpoint.copy_tokeniser(tokeniser_folder)
    model = checkpoint.model()
    check_length(model, args.init_from_ckpt, args.max_seq_length)
    return model
