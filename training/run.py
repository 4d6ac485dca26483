"""A training run: from the command line's options to the best checkpoint."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import itertools
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import paddle

from pipeline.atomic import remove_folder, remove_leftovers
from pipeline.checksums import check_replaceable, sha256_file
from pipeline.dataset import DATA_FILE, read_examples, read_labels, read_texts
from pipeline.decoding import Decoder
from pipeline.encoding import TextEncoder
from pipeline.errors import ClassifierError, EnvironmentFault, InputError
from pipeline.hierarchy import LabelHierarchy
from pipeline.normalisation import normalise
from pipeline.tokenisation import Tokeniser
from training.checkpoint import RECORD_FILE, TOKENISER_FILES, TrainingRecord, read_checkpoint, write_checkpoint
from training.data.encoded import EncodedDataset, read_encoded, repetitions, shared_texts
from training.distributed import ProcessGroup
from training.model.device import use_device
from training.model.encoders import check_length, create_model
from training.model.initialisation import initialise, start_from_frequencies
from training.model.model_names import SCRATCH, contradict
from training.options import TrainingOptions
from training.teaching import add_taught_rows
from training.trainer import RunFiles, Trainer

SAMPLE_TEXTS = 32
NOT_OF_THE_RUN = ("device", "logging_steps", "save_steps", "resume", "overwrite", "save_dir", "dataset", "dataset_dir")
"""Options that may differ when a run goes on."""


def train(args: argparse.Namespace, options: TrainingOptions) -> None:
    """Train as the options of `train.py` say, and keep the best model in `--save_dir`.

    Raises:
        InputError: the dataset, the model or an option cannot be used.
        EnvironmentFault: the device or a pretrained model is not to be had, or the disk is full.
        ClassifierError: the loss is no longer finite.
    """
    started = time.monotonic()
    save_dir = Path(os.path.abspath(args.save_dir))
    state, logs = (save_dir.with_name(f"{save_dir.name}.{name}") for name in ("resume", "logs"))
    for path in (save_dir, state):
        check_replaceable(path, "--save_dir")
    use_device(args.device)
    group = ProcessGroup.join()
    set_seed(args.seed)
    hierarchy = read_labels(Path(args.dataset_dir) / args.label_file)
    with contextlib.ExitStack() as stack:
        if group.leads:
            stack.enter_context(alone(logs))
            for path in (save_dir, state):
                remove_leftovers(path)
            if args.overwrite and state.exists():
                remove_folder(state)
        group.wait()
        resumes = check_state(save_dir, state, args.resume)
        tokeniser_folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        trainer = create_trainer(args, options, hierarchy, tokeniser_folder, group, state, logs)
        if resumes:
            trainer.resume()
        if group.leads and args.resume:
            print(f"resumed at step {trainer.progress.step}" if resumes else "nothing was written yet: a new run")
        group.wait()
        best = finish(trainer)
        group.wait()
        if group.leads:
            remove_folder(state)
    if group.leads:
        print(
            f"best on dev: micro F1 {best['micro_f1']:.4f}, macro F1 {best['macro_f1']:.4f}; kept in {args.save_dir} "
            f"after {time.monotonic() - started:.0f} s"
        )


@contextlib.contextmanager
def alone(logs: Path) -> Iterator[None]:
    """Keep other runs from writing to the same places; raises InputError where one is at it."""
    logs.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(logs, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise InputError(f"another run is writing to {logs} and beside it; give another --save_dir") from error
    finally:
        os.close(descriptor)


def check_state(save_dir: Path, state: Path, resume: bool) -> bool:
    """Whether there is a run to go on with.

    Raises:
        InputError: one is there and not asked for, or asked for and ended.
    """
    if state.exists() and not resume:
        raise InputError(
            f"{state} is of a run that was interrupted: go on with --resume, or begin anew with --overwrite"
        )
    if resume and not state.exists() and (save_dir / RECORD_FILE).exists():
        raise InputError(
            f"there is nothing to resume: {save_dir} is the checkpoint of a run that has ended; run without --resume "
            "to train anew"
        )
    return state.exists()


def finish(trainer: Trainer) -> dict[str, Any]:
    """Run to the end; raises as `train` does. A run whose loss was not finite leaves nothing to resume."""
    try:
        return trainer.run()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise EnvironmentFault(
            f"writing beside {trainer.files.state} failed ({error}); the checkpoint and the training state that were "
            "there before are whole: mend the cause and run again with --resume"
        ) from error
    except ClassifierError:
        if trainer.group.leads and trainer.files.state.exists():
            remove_folder(trainer.files.state)
        raise


def create_trainer(
    args: argparse.Namespace,
    options: TrainingOptions,
    hierarchy: LabelHierarchy,
    tokeniser_folder: Path,
    group: ProcessGroup,
    state: Path,
    logs: Path,
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
        if scratch:
            initialise(model, [*train_set.rows, *encoder.encode(unlabelled)], args.seed)

    def keep(scores: dict[str, Any], decoder: Decoder) -> None:
        record = _record(args, scores, decoder, dev_set)
        write_checkpoint(args.save_dir, model, tokeniser_folder, hierarchy, record)

    read = [train_path, dev_path, folder / args.label_file, *([unlabelled_path] if wanted else []), *teachers]
    files = RunFiles(state, logs, _identity(args, group, read))
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
        **{f"checksum of input {number}": sha256_file(path) for number, path in enumerate(files, start=1)},
        "number of processes": group.size,
    }


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
    for name in TOKENISER_FILES:
        if (checkpoint.path / name).exists():
            shutil.copyfile(checkpoint.path / name, tokeniser_folder / name)
    model = checkpoint.model()
    check_length(model, args.init_from_ckpt, args.max_seq_length)
    return model
