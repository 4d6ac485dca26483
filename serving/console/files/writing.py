"""A workbook of answers."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell

from pipeline.errors import InputError

MOST_CHARACTERS = 32_767
"""Of a cell, as the file format has them."""
_ESCAPED = re.compile("_(?=x[0-9A-Fa-f]{4}_)|[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")
"""What XML has no letter for, and what reads like a code of it."""


def workbook(header: Sequence[str], rows: Sequence[Sequence[str | float | None]]) -> bytes:
    """An .xlsx file with one sheet. Text is text: no cell is a formula, whatever it begins with.

    Raises:
        InputError: a text is longer than a cell may be.
    """
    book = Workbook(write_only=True)
    sheet = book.create_sheet("answers")
    for number, row in enumerate([header, *rows]):
        cells = []
        for value in row:
            cell = WriteOnlyCell(sheet)
            if isinstance(value, str):
                if len(value) > MOST_CHARACTERS:
                    raise InputError(
                        f"answer {number} has a text of {len(value):,} characters, and a cell of a workbook holds "
                        f"{MOST_CHARACTERS:,}; take .csv or .jsonl"
                    )
                cell.value = _ESCAPED.sub(lambda found: f"_x{ord(found[0]):04X}_", value)
                cell.data_type = "s"
            else:
                cell.value = value
            cells.append(cell)
        sheet.append(cells)
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()
