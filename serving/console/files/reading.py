"""Read the texts of a file."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.files.tables.cells import Flaw, Row, Table, loose, plain
from pipeline.files.tables.encodings import NAMES, tell_encoding
from pipeline.files.tables.options import TableOptions
from pipeline.files.tables.reading import open_table
from pipeline.files.tables.text_files import refuse_nul

MOST_TEXTS, MOST_TEXT_BYTES = 50_000, 50_000_000
"""Of a file; many rows of a workbook may share one text."""
MOST_COLUMNS = 200
LOOKED_AT = 50
"""Rows by which columns are shown, and by which a file of lines is told from one with tabs."""
SHOWN_CHARACTERS = 200
TEXT_NAMES = frozenset(("text", "texts", "sentence", "content", "文本", "正文", "内容", "句子"))
"""What a column is called that can be no other."""


@dataclass(frozen=True)
class ReadingOptions:
    """How a file is read; None: as it shows.

    Attributes:
        column: the column of the texts, from 1.
        header: whether the first row names the columns.
        sheet: the worksheet of a workbook.
        encoding: of a text file.
    """

    column: int | None = None
    header: bool = True
    sheet: str | None = None
    encoding: str | None = None


@dataclass(frozen=True)
class TextsOfFile:
    """What was read.

    Attributes:
        form: what the file was taken for, in words.
        notes: what should be known of the rows.
        sheets: the worksheets that there are.
        columns: names and first texts of the columns; none for a file of lines.
        column: the column that was taken, from 1; None where it has to be chosen first.
        texts: the texts of that column; rows without one are passed over.
        rows: the line or worksheet row where each begins.
    """

    form: str
    notes: list[str]
    sheets: list[str]
    columns: list[dict[str, str]]
    column: int | None
    texts: list[str]
    rows: list[int]


def read(path: Path, options: ReadingOptions) -> TextsOfFile:
    """The texts of a file.

    Raises:
        InputError: it cannot be read, holds no text or too many of them, or lacks the column.
    """
    chosen = TableOptions(sheet=options.sheet, header_row=int(options.header), encoding=options.encoding)
    if path.suffix.lower() == ".txt":
        if (lines := _lines(path, options.encoding)) is not None:
            return lines
        chosen = TableOptions(header_row=0, encoding=options.encoding, delimiter="\t", quotes=False)
    table = open_table(path, chosen, [])
    first = list(itertools.islice(table.rows, LOOKED_AT))
    columns = _columns(table, first)
    column = options.column or _only_text(columns)
    if column is None:
        return TextsOfFile(table.form, table.notes, list(table.sheets), columns, None, [], [])
    if not 1 <= column <= len(columns):
        raise InputError(f"{path} has no column {column}; it has {len(columns)}")
    name = columns[column - 1]["name"] or str(column)
    found = ((row.number, plain(path, row, column - 1, name)) for row in itertools.chain(first, table.rows))
    rows, texts = _bounded(path, ((number, text) for number, text in found if text))
    return TextsOfFile(table.form, table.notes, list(table.sheets), columns, column, texts, rows)


def _lines(path: Path, encoding: str | None) -> TextsOfFile | None:
    """The lines of a text file; None where it is a table, as each of its first lines holds a tab."""
    try:
        encoding = encoding or tell_encoding(path)
        with open(path, encoding=encoding) as stream:
            numbered = ((number, line.strip().lstrip("\ufeff")) for number, line in enumerate(stream, start=1))
            filled = ((number, line) for number, line in numbered if line)
            first = list(itertools.islice(filled, LOOKED_AT))
            if first and all("\t" in line for _, line in first):
                return None
            rows, texts = _bounded(path, itertools.chain(first, filled))
    except UnicodeError as error:
        raise InputError(f"{path} is not {encoding} throughout ({error}); choose another encoding") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    for row, text in zip(rows, texts):
        refuse_nul(path, row, text)
    return TextsOfFile(f"a text per line, {NAMES.get(encoding, encoding)}", [], [], [], 1, texts, rows)


def _columns(table: Table, first: Sequence[Row]) -> list[dict[str, str]]:
    """The name and the first text of each column."""
    width = max([len(table.header), *(len(row.cells) for row in first)])
    if width > MOST_COLUMNS:
        raise InputError(f"{table.path} has {width:,} columns; save those that are needed, at most {MOST_COLUMNS}")
    columns = []
    for place in range(width):
        cells = (row.cells[place] for row in first if place < len(row.cells) and row.cells[place])
        cell = next(cells, "")
        shown = cell.text if isinstance(cell, Flaw) else cell if isinstance(cell, str) else json.dumps(cell)
        name = table.header[place].strip() if place < len(table.header) else ""
        columns.append({"name": name[:SHOWN_CHARACTERS], "example": shown.strip()[:SHOWN_CHARACTERS]})
    return columns


def _only_text(columns: Sequence[dict[str, str]]) -> int | None:
    """The one column, from 1, whose name says that it holds the texts."""
    found = [number for number, column in enumerate(columns, start=1) if loose(column["name"]) in TEXT_NAMES]
    return found[0] if len(found) == 1 else None


def _bounded(path: Path, numbered: Iterator[tuple[int, str]]) -> tuple[list[int], list[str]]:
    rows: list[int] = []
    texts: list[str] = []
    left = MOST_TEXT_BYTES
    for number, text in numbered:
        left -= len(text.encode("utf-8", "replace"))
        if len(texts) == MOST_TEXTS:
            raise InputError(f"{path} holds more than {MOST_TEXTS:,} texts; split it")
        if left < 0:
            raise InputError(f"{path} holds more than {MOST_TEXT_BYTES:,} bytes of text, as UTF-8; split it")
        rows.append(number)
        texts.append(text)
    if not texts:
        raise InputError(f"{path} holds no text there")
    return rows, texts


def _without_options(said: str) -> str:
    """A message for people who have a page and no command line; it can choose an encoding, and keeps no marks."""
    return re.sub(", or give --quotes .*", "", said).replace("--encoding", "an encoding")


def texts_as_json(path: Path, **options: Any) -> bytes:
    """A `TextsOfFile` in JSON, by the fields of `ReadingOptions`; raises InputError as `read` does."""
    try:
        whole = json.dumps(asdict(read(path, ReadingOptions(**options))), ensure_ascii=False)
    except InputError as error:
        raise InputError(_without_options(str(error))) from None
    return whole.encode("utf-8", "backslashreplace")  # half a surrogate pair, as JSON escapes it
