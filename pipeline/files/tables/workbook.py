"""Tables in workbooks (.xlsx), read by openpyxl."""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from openpyxl import load_workbook
from openpyxl.utils.escape import unescape

from pipeline.errors import InputError
from pipeline.files.tables.cells import Cell, Flaw, Row, Table
from pipeline.files.tables.options import TableOptions
from pipeline.files.tables.workbook_parts import Part, copied_parts

warnings.filterwarnings("ignore", module="openpyxl")  # of what it would not write again

_DATE = "holds a date, as spreadsheet programs make of what looks like one (1-2, 3/4); format the column as text"
_NO_VALUE = "holds a formula without its value; open the workbook in a spreadsheet program and save it again"
_MACROS = "the macros of the workbook are passed over"


def workbook_table(path: Path, options: TableOptions) -> Table:
    """A worksheet as a table. Cells of a formula have the value that was saved with it.

    Cells that are merged down a column all have the text of the first one. Phonetic readings are left out.

    Raises:
        InputError: it is no workbook, is damaged or leaves the bounds of `workbook_parts`; or there is no such sheet.
    """
    rows = _rows(path, options)
    form, titles, notes = next(rows)
    header: Sequence[str] = ()
    row = options.header_row
    for number, cells in rows:
        if number >= row:
            header, row = [cell.text if isinstance(cell, Flaw) else str(cell) for cell in cells], number
            break
    return Table(path, form, header, rows, notes, header_row=row, sheets=titles)


def _rows(path: Path, options: TableOptions) -> Iterator[Any]:
    """First the form of the table, the names of all sheets and its notes, then its rows."""
    try:
        with copied_parts(path) as (copy, parts, has_macros):
            book = load_workbook(copy, read_only=True, data_only=True, keep_links=False)
            sheet = _sheet(path, book, options.sheet)
            part = parts.get(sheet._worksheet_path.lstrip("/"), Part())
            notes = [_MACROS] * has_macros
            if part.formulas:
                notes.append(f"formulas of which the saved value was taken: {part.formulas:,}")
            titles = [each.title for each in book.worksheets]
            others = [title for title in titles if title != sheet.title]
            beside = f", beside {', '.join(map(repr, others[:5]))}" if others else ""
            yield f"workbook, sheet {sheet.title!r}{beside}", titles, notes
            if not options.header_row:
                yield Row(0, [])
            yield from _read(sheet, part, notes)
    except InputError:
        raise
    except Exception as error:  # whatever zipfile, expat and openpyxl find in a damaged file
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(
            f"{path} cannot be read as a workbook ({reason:.120}); open it in a spreadsheet program and save it as "
            ".xlsx or .csv"
        ) from error


def _sheet(path: Path, book: Any, wanted: str | None) -> Any:
    sheets = book.worksheets
    if not sheets:
        raise InputError(f"{path} has no worksheet")
    if wanted is None:
        return sheets[0]
    for sheet in sheets:
        if sheet.title == wanted:
            return sheet
    if wanted.isdecimal() and 0 < int(wanted) <= len(sheets):
        return sheets[int(wanted) - 1]
    titles = ", ".join(repr(sheet.title) for sheet in sheets[:10])
    raise InputError(f"{path} has no sheet {wanted!r}; give --sheet one of {titles}, or a number up to {len(sheets)}")


def _read(sheet: Any, part: Part, notes: list[str]) -> Iterator[Row]:
    """The rows with something in them."""
    merged = _Merged(part)
    sheet.reset_dimensions()  # programs write wrong ones
    for number, found in enumerate(sheet.iter_rows(min_row=1), start=1):
        cells = [_cell(cell) if cell.value is not None else "" for cell in found]
        if part.valueless:
            for place, cell in enumerate(cells):
                if not cell and (number, place + 1) in part.valueless:
                    cells[place] = Flaw("", _NO_VALUE)
        merged.fill(number, cells)
        if any(cells):
            yield Row(number, cells)
    if merged.filled:
        notes.append(f"{merged.filled} cells that are merged with one above have its text")


class _Merged:
    """Gives each cell of a range that is merged down a column the text of the first one."""

    def __init__(self, part: Part) -> None:
        self.filled = 0
        self._starts: dict[int, list[tuple[int, int]]] = {}
        for first, last, column in part.merged:
            self._starts.setdefault(first, []).append((column - 1, last))
        self._open: dict[int, tuple[int, Cell]] = {}

    def fill(self, number: int, cells: list[Cell]) -> None:
        """Fill the cells of row `number`, unless all are empty; rows come in order."""
        is_empty = not any(cells)
        for place, (last, cell) in list(self._open.items()):
            if number > last:
                del self._open[place]
            elif cell and not is_empty:
                cells += [""] * (place + 1 - len(cells))  # rows end with their last cell
                if not cells[place]:
                    cells[place] = cell
                    self.filled += 1
        for place, last in self._starts.get(number, ()):
            if place < len(cells):
                self._open[place] = (last, cells[place])


def _cell(cell: Any) -> Cell:
    value = cell.value
    if cell.data_type == "e":
        return Flaw(str(value), f"holds the error {value}; correct the formula, or empty the cell")
    if isinstance(value, (datetime.date, datetime.time, datetime.timedelta)):
        shown = str(value.date() if isinstance(value, datetime.datetime) and value.time() == datetime.time() else value)
        return Flaw(shown, _DATE, as_text=True)
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    return unescape(value) if isinstance(value, str) else str(value)
