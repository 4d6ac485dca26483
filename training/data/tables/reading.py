"""Opening a table, of whatever kind its file is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.errors import InputError
from training.data.tables.cells import Table, plain
from training.data.tables.options import TableOptions
from training.data.tables.text_files import text_table
from training.data.tables.workbook import ARCHIVE, OLD_OR_ENCRYPTED, refuse_old, workbook_table


def open_table(path: Path, options: TableOptions, columns: Sequence[str], furthest: int | None = None) -> Table:
    """A table, told by the content of its file, not by the name.

    Args:
        path: an .xlsx workbook, JSON lines, or text with a delimiter between cells.
        options: what cannot be told from the file.
        columns: names or numbers, from 1, of the columns that will be asked for.
        furthest: how many of them, the first ones, no row of a text file may end before (all).

    Raises:
        InputError: the file is missing, damaged, too large for a workbook, of another kind, or lacks a column.
    """
    try:
        with open(path, "rb") as stream:
            start = stream.read(8)
        if not start:
            raise InputError(f"{path} is empty")
        if start == OLD_OR_ENCRYPTED:
            refuse_old(path)
        if start.startswith(ARCHIVE):
            return workbook_table(path, options)
        return text_table(path, options, columns, len(columns) if furthest is None else furthest)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def read_columns(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield the cells of `columns` in each row below the header that has any, white space at their ends removed.

    Raises:
        InputError: as `open_table` does, or a cell is no text.
    """
    table = open_table(path, TableOptions(), columns, furthest=0)
    places = table.places(columns)
    for row in table.rows:
        cells = tuple(plain(path, row, place, name) for place, name in zip(places, columns))
        if any(cells):
            yield cells
