"""Encoded datasets and the batches that training takes from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import InputError
from pipeline.files.dataset import KEEP, ReadReport, read_examples
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.text.encoding import TextEncoder
from pipeline.text.tokenisation import Tokeniser

_BUCKET_BATCHES = 32


@dataclass(frozen=True)
class EncodedDataset:
    """A labelled file in memory.

    Attributes:
        texts: as they stand in the file.
        rows: token ids, int64 [length] each.
        labels: bool [len(rows), labels], or float32 in [0, 1] where teachers have given them.
        report: what the reader saw.
    """

    texts: list[str]
    rows: list[np.ndarray]
    labels: np.ndarray
    report: ReadReport

    def __len__(self) -> int:
        return len(self.rows)


def read_encoded(path: Path, hierarchy: LabelHierarchy, encoder: TextEncoder, negatives: str = KEEP) -> EncodedDataset:
    """Read and encode a labelled file; `negatives` is as for `pipeline.files.dataset.read_examples`.

    Raises:
        InputError: the file has no rows, or none with a label.
        DatasetError: a line is wrong.
    """
    report = ReadReport()
    examples = list(read_examples(path, hierarchy, report, negatives))
    if not examples:
        raise InputError(f"{path} is empty; it needs at least one labelled text")
    if report.negatives == report.rows:
        raise InputError(f"no row of {path} has a label; write the text, a tab, and its labels joined by commas")
    texts = [example.text for example in examples]
    labels = hierarchy.matrix([example.labels for example in examples])
    return EncodedDataset(texts, encoder.encode(texts), labels, report)


def describe(
    folder: Path, train_file: str, train: EncodedDataset, dev_file: str, dev: EncodedDataset
) -> dict[str, Any]:
    """What a model learnt from, for its record; of the folder and its files no more than their names.

    Returns:
        folder: its name; train, dev: each the file's name and its rows; label_rows: rows of train with each label,
        [labels]; further_rows: texts whose labels other models gave, or that only another model's answers were learnt
        on.
    """
    labelled = train.report.rows
    return {
        "folder": Path(folder).resolve().name,
        "train": {"file": Path(train_file).name, "rows": labelled},
        "dev": {"file": Path(dev_file).name, "rows": len(dev)},
        "label_rows": (train.labels[:labelled] > 0).sum(axis=0).tolist(),
        "further_rows": len(train) - labelled,
    }


def repetitions(dataset: EncodedDataset, encoder: TextEncoder) -> str:
    """What is to be said of texts that stand in a file more than once, to the model; empty where none does."""
    first: dict[str, int] = {}
    repeated, contradicting = 0, []
    for row, words in enumerate(map(encoder.words, dataset.texts)):
        earlier = first.setdefault(words, row)
        if earlier != row:
            repeated += 1
            if (dataset.labels[earlier] != dataset.labels[row]).any():
                contradicting.append((earlier + 1, row + 1))
    if not repeated:
        return ""
    said = f"{repeated} rows repeat the text of an earlier row"
    if contradicting:
        lines = " and ".join(map(str, contradicting[0]))
        said += f", {len(contradicting)} of them with other labels (lines {lines} first): correct one of each pair"
    return said


def shared_texts(train: EncodedDataset, dev: EncodedDataset, encoder: TextEncoder) -> int:
    """How many rows of `dev` are to the model a text that `train` has too: what such rows measure is memory."""
    known = set(map(encoder.words, train.texts))
    return sum(encoder.words(text) in known for text in dev.texts)


def shuffled_batches(lengths: np.ndarray, batch_size: int, random: np.random.Generator) -> Iterator[np.ndarray]:
    """Row numbers of one epoch's batches: random, but rows of like length together, so that little is padding.

    Rows are shuffled, cut into buckets of several batches, sorted by length within a bucket, and the batches
    shuffled again.
    """
    order = random.permutation(len(lengths))
    bucket_size = _BUCKET_BATCHES * batch_size
    batches = []
    for start in range(0, len(order), bucket_size):
        bucket = order[start : start + bucket_size]
        bucket = bucket[np.argsort(lengths[bucket], kind="stable")]
        batches += [bucket[i : i + batch_size] for i in range(0, len(bucket), batch_size)]
    for index in random.permutation(len(batches)):
        yield batches[index]


def hide_tokens(input_ids: np.ndarray, share: float, tokeniser: Tokeniser, random: np.random.Generator) -> np.ndarray:
    """`input_ids` with a random share of the ordinary tokens masked: words that the model must do without."""
    if not share:
        return input_ids
    hidden = random.random(input_ids.shape) < share
    return np.where(hidden & ~np.isin(input_ids, tokeniser.special_ids), tokeniser.mask_id, input_ids)
