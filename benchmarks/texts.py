"""The texts that benchmarks send."""

from __future__ import annotations

import random
from pathlib import Path

from pipeline.errors import DatasetError, InputError
from pipeline.files.dataset import TEST_FILE
from pipeline.files.lines import read_lines
from pipeline.text.normalisation import text_fault
from training.make_sample_dataset import SampleDataset, SampleOptions

SAMPLE = "generated sample"
SEED = 3


def read_texts(path: Path | None) -> list[str]:
    """The texts of a file with a text per line, or with labels behind a tab; without a file those of the sample.

    Raises:
        InputError: the file cannot be read, or holds no texts.
        DatasetError: a line holds no text.
    """
    if path is None:
        return [example.text for example in SampleDataset(SampleOptions()).examples[TEST_FILE]]
    texts = []
    for number, line in read_lines(path):
        texts.append(line.partition("\t")[0])
        fault = text_fault(texts[-1])
        if fault:
            raise DatasetError(path, number, fault)
    if not texts:
        raise InputError(f"{path} has no rows; there is nothing to measure on")
    return texts


def shuffled_texts(path: Path | None) -> list[str]:
    """As `read_texts`, in an order that is the same each time."""
    texts = read_texts(path)
    random.Random(SEED).shuffle(texts)
    return texts
