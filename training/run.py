"""A training run: from the command line's options to the best checkpoint."""

from __future__ import annotations

import argparse
import itertools
import random
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import paddle

from pipeline.atomic import remove_leftovers
from pipeline.checksums import check_replaceable, read_checksums, sha256_file, verify_file
from pipeline.dataset import DATA_FILE, LABEL_FILE, read_examples, read_labels, read_texts
from pipeline.decoding import Decoder
from pipeline.encoding import TextEncoder
from pipeline.errors import EnvironmentFault, InputError
from pipeline.hierarchy import LabelHierarchy
from pipeline.normalisation import normalise
from pipeline.tokenisation import Tokeniser
from training.checkpoint import RECORD_FILE, TrainingRecord, write_checkpoint
from training.curves import logs_path
from training.data.encoded import EncodedDataset, read_encoded, repetitions, shared_texts
from training.distributed import ProcessGroup
from training.model.device import use_device
from training.model.encoders import create_model
from training.model.initialisation import initialise, start_from_frequencies
from training.model.model_names import SCRATCH
from training.options import TrainingOptions
from training.teaching import add_taught_rows
from training.trainer import RunFiles, Trainer
from training.training_state import state_path

SAMPLE_TEXTS = 32
NOT_OF_THE_RUN = ("device", "logging_steps", "save_steps", "resume", "save_dir", "dataset", "dataset_dir")
"""Options that may differ when a run goes on."""


def train(args: argparse.Namespace, options: TrainingOptions) -> None:
    """Train as the options of `train.py` say, and keep the best model in `--save_dir`.

    Raises:
        InputError: the dataset, the model or an option cannot be used.
        EnvironmentFault: the device or a pretrained model is not to be had, or the disk is full.
        ClassifierError: the loss is no longer finite.
    """
    started = time.monotonic()
    for path in (Path(args.save_dir), state_path(args.save_dir)):
        check_replaceable(path, "--save_dir")
    use_device(args.device)
    group = ProcessGroup.join()
    set_seed(args.seed)
    hierarchy = read_labels(Path(args.dataset_dir) / args.label_file)
    with tempfile.TemporaryDirectory() as tokeniser_folder:
        trainer = create_trainer(args, options, hierarchy, Path(tokeniser_folder), group)
        if args.resume:
            resume(trainer, args.save_dir)
        elif group.leads and trainer.files.state.exists():
            print(f"{trainer.files.state}: an interrupted run was there and is given up; --resume would go on with it")
            shutil.rmtree(trainer.files.state)
        try:
            best = trainer.run()
        except OSError as error:
            raise EnvironmentFault(
                f"writing beside {args.save_dir} failed ({error}); the checkpoint and the training state that were "
                "there before are whole: mend the cause and run again with --resume"
            ) from error
    if group.leads:
        shutil.rmtree(trainer.files.state)
        print(
            f"best on dev: micro F1 {best['micro_f1']:.4f}, macro F1 {best['macro_f1']:.4f}; kept in {args.save_dir} "
            f"after {time.monotonic() - started:.0f} s"
        )


def create_trainer(
    args: argparse.Namespace,
    options: TrainingOptions,
    hierarchy: LabelHierarchy,
    tokeniser_folder: Path,
    group: ProcessGroup,
) -> Trainer:
    """Read the dataset, make the model, and put both together; raises as `train` does."""
    folder = Path(args.dataset_dir)
    train_path, dev_path = folder / args.train_file, folder / args.dev_file
    scratch, unlabelled_path = args.model_name in SCRATCH, folder / args.unlabelled_file
    # data.txt may be absent; a file that was asked for may not.
    wanted = scratch and (unlabelled_path.exists() or args.unlabelled_file != DATA_FILE)
    unlabelled = list(read_texts(unlabelled_path)) if wanted else []
    texts = itertools.chain((example.text for example in read_examples(train_path, hierarchy)), unlabelled)
    normalised = (normalise(text, args.normalisation) for text in texts)
    model = create_model(args.model_name, len(hierarchy), args.max_seq_length, normalised, tokeniser_folder)
    encoder = TextEncoder(args.normalisation, Tokeniser.from_checkpoint(tokeniser_folder, args.max_seq_length))
    train_set, dev_set = read_encoded(train_path, hierarchy, encoder), read_encoded(dev_path, hierarchy, encoder)
    if group.leads:
        report({train_path: train_set, dev_path: dev_set})
    teachers = [Path(path) for path in args.teachers or ()]
    if teachers:
        labelled, train_set = len(train_set), add_taught_rows(train_set, teachers, hierarchy, encoder)
        if group.leads:
            print(f"{len(train_set) - labelled} more texts with the labels of {len(teachers)} teachers")
    if args.init_from_ckpt:
        load_parameters(model, args.init_from_ckpt, hierarchy)
    else:
        start_from_frequencies(model, train_set.labels)
        if scratch:
            initialise(model, [*train_set.rows, *encoder.encode(unlabelled)], args.seed)

    def keep(scores: dict[str, Any], decoder: Decoder) -> None:
        record = _record(args, scores, decoder, dev_set)
        write_checkpoint(args.save_dir, model, tokeniser_folder, hierarchy, record)

    read = [train_path, dev_path, folder / args.label_file, *([unlabelled_path] if wanted else []), *teachers]
    files = RunFiles(state_path(args.save_dir), logs_path(args.save_dir), _identity(args, group, read))
    return Trainer(model, encoder.tokeniser, train_set, dev_set, hierarchy, options, files, keep, group)


def report(files: dict[Path, EncodedDataset]) -> None:
    """Say what was read of train and dev, and what in them is doubtful."""
    for path, dataset in files.items():
        print(f"{path}: {dataset.report.summary()}")
        if doubts := repetitions(dataset):
            print(f"warning: {path}: {doubts}")
    (train_path, train_set), (dev_path, dev_set) = files.items()
    if shared := shared_texts(train_set, dev_set):
        print(
            f"warning: {shared} of {len(dev_set)} rows of {dev_path} stand in {train_path} too: the figures on it are "
            "better than on new texts"
        )


def _record(
    args: argparse.Namespace, scores: dict[str, Any], decoder: Decoder, dev_set: EncodedDataset
) -> TrainingRecord:
    same = len(set(decoder.thresholds.tolist())) == 1
    thresholds = tuple(round(float(threshold), 6) for threshold in decoder.thresholds[: 1 if same else None])
    return TrainingRecord(
        model_name=args.model_name,
        max_seq_length=args.max_seq_length,
        normalisation=args.normalisation,
        options=vars(args),
        metrics={"dev": scores},
        sample_texts=tuple(dev_set.texts[:SAMPLE_TEXTS]),
        thresholds=thresholds,
        decoding=decoder.policy,
    )


def _identity(args: argparse.Namespace, group: ProcessGroup, files: list[Path]) -> dict[str, Any]:
    """What makes a run this run: its options, its files' contents, the number of processes."""
    return {
        **{f"--{name}": value for name, value in vars(args).items() if name not in NOT_OF_THE_RUN},
        **{f"checksum of {path.name}": sha256_file(path) for path in files},
        "number of processes": group.size,
    }


def resume(trainer: Trainer, save_dir: str) -> None:
    """Let `trainer` go on with the run that was interrupted; it starts anew where that had written nothing yet.

    Raises:
        InputError: the run has ended, or was another one.
    """
    state = trainer.files.state
    if trainer.group.leads:
        for path in (Path(save_dir), state):
            remove_leftovers(path)
    if state.exists():
        trainer.resume()
        message = f"resumed at step {trainer.progress.step} of {state}"
    elif (Path(save_dir) / RECORD_FILE).exists():
        raise InputError(
            f"there is nothing to resume: {save_dir} is the checkpoint of a run that has ended; run without --resume "
            "to train anew"
        )
    else:
        message = f"nothing was written yet to {state}: the run starts from the beginning"
    if trainer.group.leads:
        print(message)


def set_seed(seed: int) -> None:
    """Seed every random generator that training uses."""
    random.seed(seed)
    np.random.seed(seed)
    paddle.seed(seed)


def load_parameters(model: paddle.nn.Layer, path: str, hierarchy: LabelHierarchy) -> None:
    """Start `model` from the parameters of a checkpoint.

    Raises:
        InputError: the file is missing, its checkpoint has other labels, or its parameters have other names or shapes
            than the model's.
        BundleError: it lies in no checkpoint, or differs from its checksum there; loading it could run foreign code.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"--init_from_ckpt {path} does not exist")
    verify_file(file.parent, file.name, read_checksums(file.parent))
    labels = read_labels(file.parent / LABEL_FILE).labels
    if labels != hierarchy.labels:
        first = next(pair for pair in itertools.zip_longest(labels, hierarchy.labels) if pair[0] != pair[1])
        raise InputError(
            f"--init_from_ckpt {path} was trained with other labels: where it has {first[0]!r}, the dataset has "
            f"{first[1]!r}; give the same label file, or its folder as --model_name to keep the encoder alone"
        )
    state = paddle.load(path)
    expected = {name: list(parameter.shape) for name, parameter in model.state_dict().items()}
    wrong = [name for name, shape in expected.items() if name not in state or list(state[name].shape) != shape]
    if wrong:
        raise InputError(
            f"--init_from_ckpt {path} does not fit the model: {len(wrong)} parameters are missing or have another "
            f"shape, {wrong[0]} first; give the --model_name that it was trained with"
        )
    model.set_state_dict(state)
