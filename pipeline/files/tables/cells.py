"""What readers of tables give: rows of cells, and cells that need a second look."""

from __future__ import annotations

import contextlib
import difflib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Union

from pipeline.errors import DatasetError

SHOWN_COLUMNS, SHOWN_CHARACTERS = 12, 24
HEADER_WITHIN = 10
"""Rows below the first in which the names of the columns are looked for."""
NEAR = 0.5
"""How like names have to be, of 1: in Chinese one character of two is much."""


class Flaw(NamedTuple):
    """A cell whose text is not what its author sees or meant.

    Attributes:
        text: what it would be.
        reason: what is wrong, and what to do.
        as_text: whether it can do as a text all the same.
    """

    text: str
    reason: str
    as_text: bool = False


Cell = Union[str, Flaw, "list[Any]"]
"""A list comes from JSON lines alone."""


class Row(NamedTuple):
    """A row: the number of the line or worksheet row where it begins, and its cells."""

    number: int
    cells: Sequence[Cell]


@dataclass
class Table:
    """A table that is being read.

    Attributes:
        path: its file.
        form: what the file was taken for, in words.
        header: the names of the columns; empty where no row names them.
        rows: the rows below the header that have a cell with something in it. They raise DatasetError where the file
            cannot be read on.
        notes: what should be known of the rows, complete once they are read.
        keyed: whether columns have names alone, and no order.
        header_row: which row names the columns; 0 where none does.
        sheets: the names of a workbook's worksheets.
    """

    path: Path
    form: str
    header: Sequence[str]
    rows: Iterator[Row]
    notes: list[str] = field(default_factory=list)
    keyed: bool = False
    header_row: int = 1
    sheets: Sequence[str] = ()

    def places(self, columns: Sequence[str]) -> list[int]:
        """Positions of columns that are given by name, or by their number from 1.

        White space at the ends of a name and case do not count, unless they tell two columns apart.

        Raises:
            DatasetError: there is no such column, or several have the name.
        """
        return [self._place(column) for column in columns]

    def _place(self, column: str) -> int:
        for alike in (str, loose):
            found = [place for place, name in enumerate(self.header) if alike(name) == alike(column)]
            if len(found) > 1:
                numbers = " and ".join(str(place + 1) for place in found)
                raise self._fault(
                    f"columns {numbers} are all called {column!r}; give the number of the one that is meant"
                )
            if found:
                return found[0]
        if column.isdecimal() and int(column) > 0 and not self.keyed:
            return int(column) - 1
        if self.keyed:
            raise self._fault(f"there is no key {column!r}; the rows have {self.named()}")
        if not self.header_row:
            raise self._fault(
                f"there is no column {column!r}, as --header_row 0 says that no row names them; give a number"
            )
        hint = self._near(column) or (
            "name columns with --text_columns and --label_columns, or if that row is no header, give --header_row 0 "
            "and columns by number, or the number of the row that is"
        )
        raise self._fault(f"there is no column {column!r}; row {self.header_row} has {self.named()}; {hint}")

    def _near(self, column: str) -> str:
        """What may have been meant: a row further down that has the name, or a column of nearly that name."""
        with contextlib.suppress(DatasetError):
            for row in itertools.islice(self.rows, HEADER_WITHIN):
                if any(isinstance(cell, str) and loose(cell) == loose(column) for cell in row.cells):
                    return f"row {row.number} has it: give --header_row {row.number}"
        near = difflib.get_close_matches(column, [name.strip() for name in self.header], 1, NEAR)
        return f"did you mean {near[0]!r}?" if near else ""

    def named(self) -> str:
        """The columns that there are."""
        names = [name.strip() for name in self.header]
        shown = [repr(name[:SHOWN_CHARACTERS] + "..." * (len(name) > SHOWN_CHARACTERS)) for name in names if name]
        return ", ".join(shown[:SHOWN_COLUMNS]) + ", ..." * (len(shown) > SHOWN_COLUMNS) or "nothing"

    def _fault(self, reason: str) -> DatasetError:
        return DatasetError(self.path, self.header_row or None, reason)


def loose(name: str) -> str:
    """A column's name as it is compared."""
    return name.strip().lstrip("\ufeff").casefold()


def plain(path: Path, row: Row, place: int, name: str) -> str:
    """A cell as text, without white space at its ends; empty where the row ends before.

    Raises:
        DatasetError: it is none.
    """
    cell = row.cells[place] if place < len(row.cells) else ""
    if isinstance(cell, Flaw) and cell.as_text:
        cell = cell.text
    if not isinstance(cell, str):
        reason = cell.reason if isinstance(cell, Flaw) else "is a list; a text is needed"
        raise DatasetError(path, row.number, f"column {name!r} {reason}")
    return cell.strip()
