"""A model without an encoder: the linear part alone, which takes seconds to fit and microseconds a text to answer."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from pipeline.errors import InputError
from pipeline.labels.decoding import Decoder
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.text.encoding import TextEncoder
from pipeline.text.tokenisation import Tokeniser
from pipeline.text.tokeniser_files import CONFIG_FILE, checkpoint_tokeniser
from pipeline.text.wordpiece import VOCABULARY_FILE
from pipeline.text.words import TokeniserSettings
from training.checkpoint.files import Checkpoint, read_checkpoint, write_checkpoint
from training.confidence.calibration import bins_of, calibrated
from training.data.encoded import read_encoded
from training.linear.completion import decided, fit_to
from training.linear.joining import learn_weights
from training.loop.interruptible import alone, keep_previous
from training.loop.options import CHOSEN, TrainingRun
from training.loop.run import report, run_record, tell
from training.model.model_names import LINEAR

OF_ENCODERS = (
    *("head_learning_rate", "early_stop", "early_stop_nums", "logging_steps", "save_steps", "weight_decay", "loss"),
    *("hierarchy_weight", "linear", "freeze_layers", "average_weights", "token_dropout", "trim_vocabulary", "recipe"),
    *("init_from_ckpt", "teachers", "resume", "long_texts", "max_windows", "pool_windows"),
)
"""Options that such a model has no use for, beside those that a recipe chooses."""
SHORTEST = 3
"""Tokens of a text: the two at its ends, and one that there has to be room for."""


def train_linear(options: TrainingRun, hierarchy: LabelHierarchy, started: float) -> Checkpoint:
    """Fit a linear part that answers alone; as `run_training`, but there is nothing to interrupt or to resume.

    Raises:
        InputError: an option is given that such a model has no use for.
    """
    if useless := options.given(*CHOSEN, *OF_ENCODERS):
        raise InputError(f"--{useless[0]} is of no use to --model_name {LINEAR}, which has no encoder; leave it out")
    save_dir = options.real_save_dir
    with alone(save_dir.with_name(f"{save_dir.name}.logs")), tempfile.TemporaryDirectory() as tokeniser_folder:
        encoder = TextEncoder(options.normalisation, write_empty_tokeniser(Path(tokeniser_folder)), reads_tokens=False)
        paths = [options.folder / name for name in (options.train_file, options.dev_file)]
        train_set, dev_set = (read_encoded(path, hierarchy, encoder, options.negatives) for path in paths)
        report(paths[0], train_set, paths[1], dev_set, hierarchy, encoder)
        fitted = fit_to(train_set, dev_set, hierarchy, options.normalisation)
        weights = learn_weights(None, fitted.margins, dev_set.labels, fitted.separable)
        record = run_record(options, LINEAR, encoder, {}, Decoder(hierarchy), train_set, dev_set)
        logits = weights.logits(None, fitted.margins)
        record = decided(record, weights, logits, dev_set, hierarchy, options.tuning)
        record = calibrated(record, hierarchy, logits, dev_set.labels, bins_of(dev_set, encoder))
        if not options.overwrite:
            keep_previous(save_dir)
        part = fitted.part.scaled(weights.factor, weights.offset)
        write_checkpoint(save_dir, None, Path(tokeniser_folder), hierarchy, record, part)
    checkpoint = read_checkpoint(save_dir)
    tell(checkpoint, options, started)
    return checkpoint


def write_empty_tokeniser(folder: Path) -> Tokeniser:
    """The files of a tokeniser that knows special tokens alone, and that tokeniser."""
    settings = TokeniserSettings(kind="bert", strip_accents=False)
    (folder / VOCABULARY_FILE).write_text("\n".join(settings.special_tokens) + "\n", encoding="utf-8")
    config = {"tokenizer_class": "BertTokenizer", "do_lower_case": settings.lower_case, "strip_accents": False}
    (folder / CONFIG_FILE).write_text(json.dumps(config) + "\n", encoding="utf-8")
    return checkpoint_tokeniser(folder, SHORTEST)
