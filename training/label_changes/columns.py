"""A checkpoint with other labels: the columns of those that stay, as they are."""

from __future__ import annotations

import datetime
import json
import pickle
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import BundleError
from pipeline.files.atomic import atomic_folder
from pipeline.files.bundle import read_linear
from pipeline.files.dataset import LABEL_FILE, write_labels
from pipeline.metrics.sets import LABEL_COUNTS
from pipeline.metrics.traffic import TRAFFIC
from pipeline.records import read_object
from pipeline.text.linear import LINEAR_FILE, LinearPart
from training.checkpoint.files import READ_FILES, RECORD_FILE, Checkpoint, TrainingRecord, write_record
from training.label_changes.changes import RENAME, Change, Labels
from training.label_changes.counts import label_counts, traffic
from training.model.parameters import MODEL_CONFIG_FILES, WEIGHTS_FILE, read_parameters

WEIGHT, BIAS = "classifier.weight", "classifier.bias"
"""Parameters of the layer that gives the logits: [width, labels] and [labels]."""
_PICKLE_PROTOCOL = 4  # as paddle.save's


@dataclass(frozen=True)
class Added:
    """What labels bring along that are added.

    Attributes:
        classifier: float32 [width + 1, added], their weights in the classifier layer, and below them their biases;
            None where there is no encoder.
        linear: the linear part of these labels alone; None where there is none.
        threshold: of each of them.
        rows: how many examples each had.
    """

    classifier: np.ndarray | None
    linear: LinearPart | None
    threshold: float
    rows: tuple[int, ...]


def write_changed(
    checkpoint: Checkpoint,
    changes: Sequence[Change],
    labels: Labels,
    path: Path,
    dataset_dir: Path | None,
    added: Added | None = None,
) -> None:
    """Write a checkpoint with changed labels, atomically.

    Args:
        checkpoint: with the labels of before.
        changes: what made them `labels`.
        path: the folder.
        dataset_dir: the dataset folder with the changed labels, if there is one.
        added: what those that are added bring along, in the order of their columns.

    Raises:
        BundleError: the checkpoint's parameters cannot be read, or do not fit its labels.
    """
    unchanged = labels.columns == list(range(len(checkpoint.hierarchy)))
    linear = None
    if checkpoint.record.encoder_weight is not None:
        linear = read_linear(checkpoint.path / LINEAR_FILE, len(checkpoint.hierarchy))
        if added and added.linear:
            linear = linear.beside(added.linear)
        linear = linear.of_columns(labels.columns)
    with atomic_folder(path) as folder:
        for name in READ_FILES:
            if name not in (RECORD_FILE, LABEL_FILE, LINEAR_FILE) and (checkpoint.path / name).exists():
                shutil.copyfile(checkpoint.path / name, folder / name)
        if not unchanged and (folder / WEIGHTS_FILE).exists():
            _change_columns(folder, checkpoint, labels.columns, added)
        write_labels(folder / LABEL_FILE, labels.hierarchy)
        write_record(folder, _record(checkpoint, changes, labels, dataset_dir, added), linear)


def _change_columns(folder: Path, checkpoint: Checkpoint, columns: list[int], added: Added | None) -> None:
    """Leave the classifier in `folder` with some of its columns and those that are added."""
    parameters, shape = read_parameters(folder), (len(checkpoint.hierarchy),)
    more = added.classifier if added and added.classifier is not None else np.empty((len(parameters[WEIGHT]) + 1, 0))
    for name, part in ((WEIGHT, more[:-1]), (BIAS, more[-1])):
        if name not in parameters or parameters[name].shape[-1:] != shape:
            raise BundleError(
                f"{checkpoint.path / WEIGHTS_FILE} has no {name} of {shape[0]} labels; it was not trained by this "
                "software, or is damaged: train again"
            )
        whole = np.concatenate([parameters[name], part.astype(parameters[name].dtype)], axis=-1)
        parameters[name] = np.ascontiguousarray(whole[..., columns])
    with (folder / WEIGHTS_FILE).open("wb") as stream:
        pickle.dump(parameters, stream, _PICKLE_PROTOCOL)
    names = {str(column): f"LABEL_{column}" for column in range(len(columns))}
    for path in (folder / name for name in MODEL_CONFIG_FILES if (folder / name).exists()):
        # paddlenlp tells from these how many labels there are.
        numbered = {"id2label": names, "label2id": {name: int(column) for column, name in names.items()}}
        config = {**read_object(path), **numbered}
        path.write_text(json.dumps(config, ensure_ascii=False, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _record(
    checkpoint: Checkpoint,
    changes: Sequence[Change],
    labels: Labels,
    dataset_dir: Path | None,
    added: Added | None,
) -> TrainingRecord:
    record, count = checkpoint.record, len(checkpoint.hierarchy)
    thresholds, data = record.thresholds, dict(record.data)
    if TRAFFIC in data:
        data[TRAFFIC] = traffic(checkpoint, changes, labels)
    if LABEL_COUNTS in data:
        data[LABEL_COUNTS] = label_counts(checkpoint, changes, labels)
    more = added.rows if added else ()
    calibration = record.calibration.beside_plain(len(more)) if record.calibration else None
    if len(thresholds) > 1:
        every = thresholds + (added.threshold,) * len(more) if added else thresholds
        thresholds = tuple(every[column] for column in labels.columns)
    if len(counts := data.get("label_rows", ())) == count:
        data["label_rows"] = [(*counts, *more)[column] for column in labels.columns]
    known = [label in record.decoding.leading for label in checkpoint.hierarchy.labels]
    leading = [path for path, column in zip(labels.paths, labels.columns) if column >= count or known[column]]
    return replace(
        record,
        thresholds=thresholds,
        calibration=calibration.of_columns(labels.columns) if calibration else None,
        decoding=replace(record.decoding, leading=tuple(leading)),
        data=data,
        options={**record.options, **({"dataset_dir": str(dataset_dir)} if dataset_dir else {})},
        # Of other label sets, or of other levels, they would be untrue.
        metrics=record.metrics if all(change.verb == RENAME for change in changes) else {},
        label_history=(*record.label_history, _entry(checkpoint, changes)),
    )


def _entry(checkpoint: Checkpoint, changes: Sequence[Change]) -> dict[str, Any]:
    """What was done, when (UTC), and to which checkpoint."""
    return {
        "changes": [change.words for change in changes],
        "when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "from": checkpoint.identity,
    }
