"""The labels of a row of a table: a column for each level, or columns with one or several labels in each cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.errors import DatasetError, InputError
from pipeline.files.tables.cells import Flaw, Row, plain
from pipeline.labels.hierarchy import SEPARATOR
from training.data.label_names import path_of
from training.data.tables import label_cells

LEVELS, LABELS = "levels", "labels"
COLUMNS_ARE = (LEVELS, LABELS)


@dataclass(frozen=True)
class LabelColumns:
    """Which columns hold labels, and how.

    Attributes:
        path: the table's file, for messages.
        names: the columns, as the user gave them.
        places: their positions.
        columns_are: one of COLUMNS_ARE, for several columns.
        separator: what stands between the levels of a label in one cell.
        label_separator: what stands between the labels of one cell; without it a cell is one label.
        cells: what was read as one label, or as a level of one, so far, and how often.
    """

    path: Path
    names: Sequence[str]
    places: Sequence[int]
    columns_are: str
    separator: str
    label_separator: str | None
    cells: Counter[str] = field(default_factory=Counter)

    @property
    def is_by_level(self) -> bool:
        return len(self.names) > 1 and self.columns_are == LEVELS

    def of(self, row: Row) -> list[str]:
        """The label paths of a row; none where the cells are empty.

        Raises:
            DatasetError: a cell is no label, or a level is empty above one that is not.
        """
        if self.is_by_level:
            cells = [plain(self.path, row, place, name) for place, name in zip(self.places, self.names)]
            return self._by_level(row, cells)
        labels: list[str] = []
        for place, name in zip(self.places, self.names):
            cell = row.cells[place] if place < len(row.cells) else ""
            if isinstance(cell, Flaw):
                raise DatasetError(self.path, row.number, f"column {name!r} {cell.reason}")
            try:
                labels += self._of_list(cell) if isinstance(cell, list) else self._of_text(cell)
            except InputError as error:
                lines = isinstance(cell, str) and "\n" in cell.strip() and not self.label_separator
                hint = "; if line breaks stand between labels, give --label_separator=$'\\n'" if lines else ""
                raise DatasetError(self.path, row.number, f"column {name!r}: {error}{hint}") from error
        return labels

    def doubts(self) -> Iterator[str]:
        """What is hardly meant in the cells that were read, as sentences."""
        remedy = "give --label_separator='{}'"
        if self.is_by_level:
            remedy = "write whole paths into one column, and give --separator and --label_separator='{}'"
        elif self.label_separator:
            remedy = f"write {self.label_separator!r} between all"
        return label_cells.several(self.cells, self.separator, remedy)

    def notes(self) -> Iterator[str]:
        """What a user should know of the cells that were read."""
        return iter(()) if self.is_by_level else label_cells.other_levels(self.cells, self.separator)

    def _by_level(self, row: Row, cells: list[str]) -> list[str]:
        while cells and not cells[-1]:
            cells.pop()
        if "" in cells:
            empty = cells.index("")
            raise DatasetError(
                self.path,
                row.number,
                f"column {self.names[empty]!r} is empty, and {self.names[empty + 1]!r}, a level below, is not always; "
                "fill it (cells that are merged are read from .xlsx alone)",
            )
        try:
            labels = [_path(tuple(cells))] if cells else []
        except InputError as error:
            raise DatasetError(self.path, row.number, str(error)) from error
        self.cells.update(cells)
        return labels

    def _of_text(self, cell: str) -> list[str]:
        parts = cell.split(self.label_separator) if self.label_separator else [cell]
        parts = [part for part in parts if part.strip()]
        self.cells.update(parts)
        return [self._split(part) for part in parts]

    def _split(self, label: str) -> str:
        if self.separator != SEPARATOR and SEPARATOR in label:
            raise InputError(
                f"label {label!r:.60} contains {SEPARATOR!r}, which separates levels in dataset files; rename it, or "
                f"give --separator '{SEPARATOR}'"
            )
        return _path(tuple(label.split(self.separator)))

    def _of_list(self, labels: list[Any]) -> list[str]:
        found = []
        for label in labels:
            if isinstance(label, list) and label and all(isinstance(part, str) for part in label):
                found.append(_path(tuple(label)))
            elif isinstance(label, (str, int)) and not isinstance(label, bool):
                found.append(self._split(str(label)))
            else:
                raise InputError(f"{label!r:.60} is no label; give a text, or the list of its levels")
        return found


@lru_cache(maxsize=1 << 16)
def _path(segments: tuple[str, ...]) -> str:
    for segment in segments:
        if SEPARATOR in segment:
            raise InputError(f"label {segment!r:.60} contains {SEPARATOR!r}, which separates levels; rename it")
    return path_of(segments)
