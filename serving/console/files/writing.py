"""A workbook of answers."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from pydantic import BaseModel, ConfigDict, FailFast, Field

from pipeline.errors import InputError
from pipeline.records import unique_keys

MOST_ROWS, MOST_COLUMNS, MOST_CELLS = 1_000_000, 100, 500_000
"""Of a workbook, below its header."""
MOST_CHARACTERS = 32_767
"""Of a cell, as the file format has them."""
_ESCAPED = re.compile("_(?=x[0-9A-Fa-f]{4}_)|[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")
"""What XML has no letter for, and what reads like a code of it."""


_Number = Annotated[float, Field(allow_inf_nan=False)]
_Row = Annotated[list[str | _Number | None], FailFast(), Field(max_length=MOST_COLUMNS)]


class NoJson(InputError):
    """A body that is no JSON."""

    def __init__(self, error: json.JSONDecodeError) -> None:
        super().__init__(str(error))
        self._error = error

    def described(self) -> dict[str, Any]:
        """As FastAPI describes it."""
        reason = {"error": self._error.msg}
        return {"type": "json_invalid", "loc": (self._error.pos,), "msg": "JSON decode error", "ctx": reason}


class Table(BaseModel):
    """Rows of cells below a header."""

    model_config = ConfigDict(extra="forbid", strict=True)
    header: list[str] = Field(max_length=MOST_COLUMNS)
    rows: Annotated[list[_Row], FailFast()] = Field(
        max_length=MOST_ROWS, description=f"of at most {MOST_CELLS:,} cells together"
    )


def table_as_workbook(path: Path) -> bytes:
    """The workbook of a `Table` in JSON.

    Raises:
        InputError: it has too many cells, is no JSON, or as `workbook` says.
        ValidationError: it has another form.
    """
    try:
        given = json.loads(path.read_bytes(), object_pairs_hook=unique_keys)
    except json.JSONDecodeError as error:
        raise NoJson(error) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"the body is no JSON that can be used: {error}") from None
    rows = given.get("rows") if isinstance(given, dict) else None
    if isinstance(rows, list) and sum(len(row) for row in rows if isinstance(row, list)) > MOST_CELLS:
        raise InputError(f"{path} has more than {MOST_CELLS:,} cells; take .csv or .jsonl, or split it")
    table = Table.model_validate(given)
    return workbook(table.header, table.rows)


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
