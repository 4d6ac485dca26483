"""paddlenlp's map-style datasets, read into what the training loop takes; what it would not see is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pipeline.compute.batching import pad
from pipeline.errors import InputError
from pipeline.files.dataset import ReadReport
from training.data.encoded import EncodedDataset

CONSTANT = {"token_type_ids": 0, "attention_mask": 1}
"""What the network is given in any case; a row may hold it, and nothing else under this name."""


def read_map_style(dataset: Any, labels: int, most: int, name: str) -> EncodedDataset:
    """All rows of a map-style dataset of dicts with `input_ids`, `labels` and, if need be, those of CONSTANT.

    Args:
        dataset: has a length, and a dict for each number; `labels` is 0 or 1 for each label.
        labels, most: how many labels and tokens the model takes.
        name: stands in messages.

    Raises:
        InputError: there are no rows, or one cannot be used.
    """
    if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
        raise InputError(f"{name} is {dataset!r:.60}; give a map-style dataset, which has a length and numbered rows")
    if not len(dataset):
        raise InputError(f"{name} is empty; it needs at least one row")
    rows, targets = zip(*(_row(dataset[number], labels, most, f"{name}[{number}]") for number in range(len(dataset))))
    return EncodedDataset([""] * len(rows), list(rows), np.stack(targets), ReadReport(rows=len(rows)))


def _row(row: Any, labels: int, most: int, place: str) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(row, Mapping) or not {"input_ids", "labels"} <= set(row):
        raise InputError(f"{place} is no dict with input_ids and labels")
    if unknown := set(row) - {"input_ids", "labels", *CONSTANT}:
        raise InputError(f"{place} holds {min(unknown)!r}, which pruning would not use; leave it out")
    input_ids, targets = np.asarray(row["input_ids"]), np.asarray(row["labels"])
    if input_ids.ndim != 1 or not 1 <= len(input_ids) <= most or input_ids.dtype.kind not in "iu":
        raise InputError(f"the input_ids of {place} are not 1 to {most} whole numbers")
    if targets.shape != (labels,) or not np.isin(targets, (0, 1)).all():
        raise InputError(f"the labels of {place} are not {labels} numbers that are 0 or 1, one for each label")
    for name, value in CONSTANT.items():
        if name in row and not np.array_equal(np.asarray(row[name]), np.full(len(input_ids), value)):
            raise InputError(f"{name} of {place} is not {value} for each of {len(input_ids)} tokens, as it has to be")
    return input_ids.astype(np.int64), targets.astype(bool)


def check_collator(collate: Callable[[list[Any]], Any], dataset: Any, batch_size: int) -> None:
    """Raise InputError where `collate` does not give what padding with 0 gives, tried on the first batch."""
    rows = [dataset[number] for number in range(min(batch_size, len(dataset)))]
    expected, batch = pad([np.asarray(row["input_ids"]) for row in rows]), collate(rows)
    width = expected.shape[1]
    input_ids = np.asarray(batch["input_ids"])
    same = (
        input_ids.shape[0] == len(rows)
        and np.array_equal(input_ids[:, :width], expected)
        and not input_ids[:, width:].any()
        and np.array_equal(np.asarray(batch["labels"]), [row["labels"] for row in rows])
    )
    if not same:
        raise InputError("data_collator does not pad with 0 and nothing else, which is what pruning does; give None")
