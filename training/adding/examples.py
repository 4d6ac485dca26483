"""Texts that show what labels to be added mean, held against each other and against the dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import DatasetError, InputError
from pipeline.files.dataset import DEV_FILE, TEST_FILE, read_examples, split_labels
from pipeline.files.lines import read_lines
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.text.normalisation import comparable
from training.data.row_collector import Row

LEAST, SURE = 3, 5
"""Examples that a label needs where known labels do not tell what fewer are worth, and that tell it by themselves."""


@dataclass(frozen=True)
class NewExamples:
    """Different texts, some of which have the new labels; those that have none of them are what they are not.

    Attributes:
        rows: with all ancestors among their labels.
        new: the labels to be added.
    """

    rows: list[Row]
    new: tuple[str, ...]

    @property
    def texts(self) -> list[str]:
        return [row.text for row in self.rows]

    @property
    def given(self) -> np.ndarray:
        """bool [rows, new labels]."""
        return np.array([[label in row.labels for label in self.new] for row in self.rows], bool)


def read_new_examples(path: Path, hierarchy: LabelHierarchy, new: Sequence[str], dataset_dir: Path) -> NewExamples:
    """The rows of a file as train.txt is one, for labels that a model is to get.

    Args:
        hierarchy: the labels, the new ones among them.
        dataset_dir: with the labels of before.

    Raises:
        InputError: a new label has no example.
        DatasetError: a line is wrong, contradicts another, or holds a text that the model is measured on.
    """
    _check_known(path, hierarchy)
    rows: dict[str, Row] = {}
    for number, (text, positions) in enumerate(read_examples(path, hierarchy), start=1):
        row = Row(text, frozenset(hierarchy.labels[position] for position in positions), number, None, path)
        first = rows.setdefault(row.same, row)
        if differing := (row.labels ^ first.labels) & set(new):
            raise DatasetError(
                path, number, f"{text!r:.40} is also in line {first.line}, and {min(differing)!r} in one of them alone"
            )
        rows[row.same] = Row(first.text, first.labels | row.labels, first.line, None, path)
    for label in new:
        if not any(label in row.labels for row in rows.values()):
            raise InputError(
                f"{path} has no text with {label!r}; write at least one, better 20: the text, a tab, and its labels "
                "joined by commas"
            )
    _check_unmeasured(rows, hierarchy, new, dataset_dir)
    return NewExamples(list(rows.values()), tuple(new))


def _check_known(path: Path, hierarchy: LabelHierarchy) -> None:
    for number, line in read_lines(path):
        for label in split_labels(line.partition("\t")[2]):
            if label not in hierarchy.index:
                raise DatasetError(
                    path,
                    number,
                    f"{label!r} is no label of the model, and none to be added; correct it, or name it, too",
                )


def _check_unmeasured(rows: dict[str, Row], hierarchy: LabelHierarchy, new: Sequence[str], dataset_dir: Path) -> None:
    for name in (DEV_FILE, TEST_FILE):
        if not (dataset_dir / name).exists():
            continue
        for number, example in enumerate(read_examples(dataset_dir / name, hierarchy), start=1):
            if row := rows.get(comparable(example.text)):
                raise DatasetError(
                    row.source,
                    row.line,
                    f"{row.text!r:.40} is also in {dataset_dir / name}:{number}, which measures: what a model was "
                    "shown tells nothing there; take it out of one of them",
                )
