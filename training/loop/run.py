"""A training run: from its options to the best checkpoint."""

from __future__ import annotations

import itertools
import random
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import paddle

from pipeline.compute.windows import Windows
from pipeline.errors import InputError
from pipeline.files.dataset import DATA_FILE, graph_file, read_examples, read_labels, read_texts
from pipeline.labels.decoding import Decoder
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.option_values import AUTO
from pipeline.text.encoding import TextEncoder
from pipeline.text.long_texts import FIRST
from pipeline.text.normalisation import normalise
from pipeline.text.tokeniser_files import checkpoint_tokeniser
from training.checkpoint.files import Checkpoint, TrainingRecord, read_checkpoint, recorded, write_checkpoint
from training.confidence.calibration import calibrate_checkpoint
from training.data.encoded import EncodedDataset, describe, read_encoded, repetitions, shared_texts
from training.data.reading import label_notes, measure_reading
from training.label_changes.starting import fit_classifier, in_words, starting_columns
from training.linear.completion import encoder_logits, join_linear_part
from training.loop.distributed import ProcessGroup
from training.loop.interruptible import check_places, run_identity, run_interruptibly
from training.loop.options import LoopOptions, TrainingRun
from training.loop.recipe import with_recipe
from training.loop.state import RunFiles
from training.loop.teaching import add_taught_rows
from training.loop.trainer import Trainer
from training.model.device import full_card_told, use_device
from training.model.encoders import check_length, create_model
from training.model.initialisation import initialise, standardise, start_from_frequencies
from training.model.model_names import CPU, LINEAR, SCRATCH, contradict
from training.model.pretrained.trimming import NEVER
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
    if options.model_name == LINEAR:
        from training.loop.linear_run import train_linear

        return train_linear(options, hierarchy, started)
    options, choices = with_recipe(options, hierarchy, group.size, paddle.get_device() == CPU)
    for choice in choices if group.leads else ():
        print(choice)
    names = [
        options.train_file,
        options.dev_file,
        options.label_file,
        *[options.unlabelled_file] * learns_words(options),
    ]
    inputs = [*(options.folder / name for name in names), *(options.teachers or ())]
    inputs += [graph_file(options.folder / options.label_file)] * hierarchy.is_graph
    with tempfile.TemporaryDirectory() as tokeniser_folder, full_card_told():
        run_interruptibly(
            save_dir,
            group,
            run_identity(options, group, inputs),
            lambda files: create_trainer(options, hierarchy, Path(tokeniser_folder), group, files),
            lambda trainer: complete(save_dir, trainer.train_set, trainer.dev_set, options),
            resume=options.resume,
            overwrite=options.overwrite,
        )
    checkpoint = read_checkpoint(save_dir)
    if group.leads:
        tell(checkpoint, options, started)
    return checkpoint


def complete(save_dir: Path, train_set: EncodedDataset, dev_set: EncodedDataset, options: LoopOptions) -> None:
    """What is done with the best encoder, at `save_dir`, when it stands."""
    if options.linear == NEVER:
        logits = encoder_logits(read_checkpoint(save_dir), dev_set)
    else:
        logits = join_linear_part(save_dir, train_set, dev_set, options.tuning, must_gain=options.linear == AUTO)
    calibrate_checkpoint(save_dir, logits, dev_set)


def tell(checkpoint: Checkpoint, options: TrainingRun, started: float) -> None:
    """Say what a run that began at `started` has reached."""
    best = checkpoint.record.metrics["dev"]
    print(
        f"best on dev: micro F1 {best['micro_f1']:.4f}, macro F1 {best['macro_f1']:.4f}; kept in "
        f"{options.save_dir} after {time.monotonic() - started:.0f} s"
    )
    if not best["micro_f1"]:
        mend = "train for more --epochs, or with another --learning_rate"
        if checkpoint.record.encoder_weight == 0:
            mend = "its n-grams say nothing of them; look whether the labels fit the texts, or train an encoder"
        print(f"warning: the model finds no label of dev; {mend}")
    print(f"decoding: {checkpoint.decoder().in_words()}")
    if checkpoint.record.long_texts.way != FIRST:
        print(f"long texts: it reads {checkpoint.record.long_texts.in_words(checkpoint.record.max_seq_length)}")


def learns_words(options: TrainingRun) -> bool:
    """Whether the texts of --unlabelled_file are read; data.txt may be absent, a file that was asked for may not."""
    asked = bool(options.given("unlabelled_file"))
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
    fresh, inherited = np.ones(len(hierarchy), bool), dict[str, Any]()
    if start:
        model, fresh, inherited, said = load_checkpoint(start, options, hierarchy, tokeniser_folder)
        if said and group.leads:
            print(f"{start}: {said}")
    else:
        model = create_model(
            options.model_name, len(hierarchy), length, normalised, tokeniser_folder, options.trim_vocabulary
        )
    encoder = TextEncoder(
        options.normalisation, checkpoint_tokeniser(tokeniser_folder, length), long_texts=options.reading
    )
    train_set, dev_set = (read_encoded(path, hierarchy, encoder, options.negatives) for path in (train_path, dev_path))
    if group.leads:
        report(train_path, train_set, dev_path, dev_set, hierarchy, encoder)
    if options.teachers:
        labelled, train_set = len(train_set), add_taught_rows(train_set, dev_set, options.teachers, hierarchy, encoder)
        if group.leads:
            print(f"{len(train_set) - labelled} more texts with the labels of {len(options.teachers)} teachers")
    start_from_frequencies(model, train_set.labels, fresh)
    if not start:
        if options.model_name in SCRATCH:
            initialise(model, [*train_set.rows, *encoder.encode(unlabelled)], options.seed)
        elif getattr(model, "has_new_pooler", False):
            standardise(model, Windows.of(encoder).split(train_set.rows)[0])

    def keep(scores: dict[str, Any], decoder: Decoder) -> None:
        record = run_record(options, options.model_name, encoder, scores, decoder, train_set, dev_set)
        long_texts = replace(encoder.long_texts, pool=trainer.pool)
        record = replace(record, long_texts=long_texts, **inherited)
        write_checkpoint(options.real_save_dir, model, tokeniser_folder, hierarchy, record)

    trainer = Trainer(
        *(model, encoder.tokeniser, train_set, dev_set, hierarchy, options, files, keep, group),
        start_competes=start is not None,
        pools=options.pools,
    )
    return trainer


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
    if encoder.reads_tokens:
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
    samples = min(SAMPLE_TEXTS, len(dev_set))
    return TrainingRecord(
        model_name=model_name,
        max_seq_length=encoder.tokeniser.max_length,
        normalisation=encoder.normalisation,
        options=options.record(),
        metrics={"dev": scores},
        sample_texts=tuple(dev_set.texts[len(dev_set) * each // samples] for each in range(samples)),
        thresholds=recorded(decoder),
        decoding=decoder.policy,
        long_texts=encoder.long_texts,
        data=describe(options.folder, options.train_file, train_set, options.dev_file, dev_set),
    )


def set_seed(seed: int) -> None:
    """Seed every random generator that training uses."""
    random.seed(seed)
    np.random.seed(seed)
    paddle.seed(seed)


class Start(NamedTuple):
    """A checkpoint's model to start from, with a classifier for the labels at hand.

    Attributes:
        fresh: bool [labels], those that the checkpoint does not know.
        inherited: fields of the checkpoint's record that hold of what goes on from it.
        said: how many labels are shared, new and gone; empty where they are the same.
    """

    model: paddle.nn.Layer
    fresh: np.ndarray
    inherited: dict[str, Any]
    said: str


def load_checkpoint(path: Path, options: TrainingRun, hierarchy: LabelHierarchy, tokeniser_folder: Path) -> Start:
    """The model of the checkpoint with the parameters at `path`, its tokeniser's files copied to `tokeniser_folder`.

    Raises:
        InputError: its checkpoint is of another encoder, or shares no label.
        BundleError: it lies in no checkpoint, or differs from its checksum there; loading it could run foreign code.
    """
    checkpoint = read_checkpoint(path)
    if checkpoint.record.encoder_weight == 0:
        raise InputError(f"--init_from_ckpt {path} is of a linear model, which has no encoder to start from")
    if contradict(options.model_name, checkpoint.record.model_name):
        raise InputError(
            f"--init_from_ckpt {path} was trained with --model_name {checkpoint.record.model_name}, "
            f"not {options.model_name}"
        )
    columns = starting_columns(checkpoint.hierarchy, hierarchy, options.label_map)
    if (own := checkpoint.record.long_texts.way) != options.long_texts:
        print(f"note: {path} was trained with --long_texts {own}; this run goes on with {options.long_texts}")
    checkpoint.copy_tokeniser(tokeniser_folder)
    model = checkpoint.model()
    check_length(model, str(path), options.max_seq_length)
    said = ""
    if columns.tolist() != list(range(len(checkpoint.hierarchy))):
        fit_classifier(model, columns)
        said = in_words(columns, checkpoint.hierarchy)
    inherited = {"width": checkpoint.record.width, "label_history": checkpoint.record.label_history}
    return Start(model, columns < 0, inherited, said)
