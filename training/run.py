"""A training run: from the command line's options to the best checkpoint."""

from __future__ import annotations

import argparse
import itertools
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import paddle

from pipeline.checksums import check_replaceable, read_checksums, verify_file
from pipeline.dataset import DATA_FILE, read_examples, read_labels, read_texts
from pipeline.decoding import DEFAULT_THRESHOLD, Decoder
from pipeline.encoding import TextEncoder
from pipeline.errors import InputError
from pipeline.hierarchy import LabelHierarchy
from pipeline.normalisation import normalise
from pipeline.tokenisation import Tokeniser
from training.checkpoint import TrainingRecord, write_checkpoint
from training.device import use_device
from training.encoded import read_encoded
from training.encoders import create_model
from training.initialisation import initialise, start_from_frequencies
from training.model_names import SCRATCH
from training.options import TrainingOptions
from training.trainer import Trainer

SAMPLE_TEXTS = 32


def train(args: argparse.Namespace, options: TrainingOptions) -> None:
    """Train as the options of `train.py` say, and keep the best model in `--save_dir`.

    Raises:
        InputError: the dataset, the model or an option cannot be used.
        EnvironmentFault: the device or a pretrained model is not to be had.
        ClassifierError: the loss is no longer finite.
    """
    check_replaceable(Path(args.save_dir), "--save_dir")
    use_device(args.device)
    set_seed(args.seed)
    hierarchy = read_labels(Path(args.dataset_dir) / args.label_file)
    with tempfile.TemporaryDirectory() as tokeniser_folder:
        _train(args, options, hierarchy, Path(tokeniser_folder))


def _train(
    args: argparse.Namespace, options: TrainingOptions, hierarchy: LabelHierarchy, tokeniser_folder: Path
) -> None:
    started = time.monotonic()
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
    train_set = read_encoded(train_path, hierarchy, encoder)
    dev_set = read_encoded(dev_path, hierarchy, encoder)
    if args.init_from_ckpt:
        load_parameters(model, args.init_from_ckpt)
    else:
        start_from_frequencies(model, train_set.labels)
        if scratch:
            initialise(model, [*train_set.rows, *encoder.encode(unlabelled)], args.seed)
    for path, dataset in ((train_path, train_set), (dev_path, dev_set)):
        print(f"{path}: {dataset.report.summary()}")

    def keep(scores: dict[str, Any]) -> None:
        record = TrainingRecord(
            model_name=args.model_name,
            max_seq_length=args.max_seq_length,
            normalisation=args.normalisation,
            options=vars(args),
            metrics={"dev": {**scores, "threshold": DEFAULT_THRESHOLD, "decoding": decoder.policy.to_json()}},
            sample_texts=tuple(dev_set.texts[:SAMPLE_TEXTS]),
        )
        write_checkpoint(args.save_dir, model, tokeniser_folder, hierarchy, record)

    decoder = Decoder(hierarchy)
    best = Trainer(model, encoder.tokeniser, train_set, dev_set, decoder, options, keep).run()
    print(
        f"best on dev: micro F1 {best['micro_f1']:.4f}, macro F1 {best['macro_f1']:.4f}; kept in {args.save_dir} "
        f"after {time.monotonic() - started:.0f} s"
    )


def set_seed(seed: int) -> None:
    """Seed every random generator that training uses."""
    random.seed(seed)
    np.random.seed(seed)
    paddle.seed(seed)


def load_parameters(model: paddle.nn.Layer, path: str) -> None:
    """Start `model` from saved parameters.

    Raises:
        InputError: the file is missing, or its parameters have other names or shapes than the model's.
        BundleError: it lies in no checkpoint, or differs from its checksum there; loading it could run foreign code.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"--init_from_ckpt {path} does not exist")
    verify_file(file.parent, file.name, read_checksums(file.parent))
    state = paddle.load(path)
    expected = {name: list(parameter.shape) for name, parameter in model.state_dict().items()}
    wrong = [name for name, shape in expected.items() if name not in state or list(state[name].shape) != shape]
    if wrong:
        raise InputError(
            f"--init_from_ckpt {path} does not fit the model: {len(wrong)} parameters are missing or have another "
            f"shape, {wrong[0]} first; give the --model_name and the labels that it was trained with"
        )
    model.set_state_dict(state)
