"""Opening a table, of whatever kind its file is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.errors import InputError
from pipeline.files.tables.cells import Table, plain
from pipeline.files.tables.options import TableOptions
from pipeline.files.tables.text_files import text_table

_OLD_OR_ENCRYPTED, _ARCHIVE = bytes.fromhex("d0cf11e0a1b11ae1"), b"PK"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")


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
        if start == _OLD_OR_ENCRYPTED:
            _refuse_old(path)
        if start.startswith(_ARCHIVE):
            from pipeline.files.tables.workbook import workbook_table  # with what only workbooks need

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


def _refuse_old(path: Path) -> None:
    """Raise InputError, which says what a file is that begins with _OLD_OR_ENCRYPTED."""
    with open(path, "rb") as stream:
        last = b""
        while chunk := stream.read(1 << 20):
            if _ENCRYPTED in last + chunk:
                raise InputError(f"{path} is protected by a password; save a copy without one")
            last = chunk[-len(_ENCRYPTED) :]
    raise InputError(f"{path} is in the old .xls format; save it as .xlsx or .csv with a spreadsheet program")
