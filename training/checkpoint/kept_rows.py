"""Rows of the training set that a bundle keeps, so that servers can show those which a text is like."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.errors import DatasetError, InputError
from pipeline.explanation.pieces import BEGINNING_CHARACTERS
from pipeline.files.dataset import Example, read_examples
from pipeline.labels.hierarchy import CONTROL_CHARACTERS
from pipeline.output import shortened
from pipeline.text.normalisation import text_fault
from training.checkpoint.files import Checkpoint

MOST_ROWS = 10_000
"""That are kept, unless it takes more to have one of each label."""


def kept_rows(checkpoint: Checkpoint) -> list[Example]:
    """The rows that a checkpoint was trained with, as they are kept: different ones, their texts cut.

    Raises:
        InputError: the file is not there, or has other labels than the model, or no row with a label.
    """
    options = checkpoint.record.options
    path = Path(str(options.get("dataset_dir"))) / str(options.get("train_file"))
    if not path.is_file():
        raise InputError(
            f"--with_examples keeps rows of {path}, with which {checkpoint.path} was trained, and it is not there; "
            "bring it back, or leave --with_examples out"
        )
    try:
        examples = list(read_examples(path, checkpoint.hierarchy))
    except DatasetError as error:
        raise InputError(
            f"--with_examples keeps rows of {path}, which do not fit the model ({error}); bring back the file that it "
            "was trained with, or leave --with_examples out"
        ) from error
    learnt = checkpoint.record.data.get("train", {}).get("rows")
    if learnt not in (None, len(examples)):
        print(f"note: {path} has {len(examples):,} rows, and the model was trained with {learnt:,}: it has changed")
    shown = (Example(_shown(example.text), example.labels) for example in examples if example.labels)
    rows = list(dict.fromkeys(row for row in shown if not text_fault(row.text)))
    if not rows:
        raise InputError(f"--with_examples keeps rows of {path}, and none of them has a label; leave it out")
    return chosen(rows, len(checkpoint.hierarchy))


def chosen(rows: Sequence[Example], labels: int) -> list[Example]:
    """Those of many rows that are kept, in their order: first of each label one, then of each a second, and so on.

    So rare labels keep all that they have, and frequent ones equally many, drawn by lot.
    """
    seen, before = np.zeros(labels, np.int64), np.zeros(len(rows), np.int64)
    for row in np.random.default_rng(0).permutation(len(rows)).tolist():
        own = list(rows[row].labels)
        before[row] = seen[own].min()
        seen[own] += 1
    most = max(MOST_ROWS, int((before == 0).sum()))
    return [rows[row] for row in np.sort(np.argsort(before, kind="stable")[:most])]


def _shown(text: str) -> str:
    return shortened(CONTROL_CHARACTERS.sub(" ", text), BEGINNING_CHARACTERS)
