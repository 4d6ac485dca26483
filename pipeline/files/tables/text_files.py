"""Tables in text files: cells between commas or tabs, or a JSON object per line."""

from __future__ import annotations

import csv
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.errors import DatasetError, InputError
from pipeline.files.tables.cells import Cell, Row, Table, loose
from pipeline.files.tables.encodings import NAMES, tell_encoding
from pipeline.files.tables.options import TableOptions
from pipeline.records import parse_json
from pipeline.text.normalisation import MAX_TEXT_CHARACTERS

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "|"}
LOOKED_AT, MOST_KEYS = 50, 1000
"""Rows by which a delimiter is told; and keys of objects after which no more are looked for."""
MOST_CELL_CHARACTERS = 2 * MAX_TEXT_CHARACTERS
_SAID_DELIMITER = re.compile(r'"?sep=([^\w"\r\n])"?[ \t]*[\r\n]', re.IGNORECASE)
"""A first line by which spreadsheet programs are told the delimiter; it is none of the rows."""
_MARKUP = ("<html", "<!doctype", "<table", "<?xml", "<meta", "{\\rtf", "%pdf")


def text_table(path: Path, options: TableOptions, columns: Sequence[str], furthest: int) -> Table:
    """A text file as a table: JSON lines if it begins with a brace, cells between delimiters otherwise.

    Args:
        path: the file.
        options: what need not be told from it.
        columns: those that will be asked for; the delimiter is the one which shows them.
        furthest: how many of them, the first ones, a row has to reach: what ends before was cut by a line break.

    Raises:
        InputError: it is no table, or its encoding or its delimiter cannot be told.
    """
    encoding = options.encoding or tell_encoding(path)
    with _text(path, encoding) as stream:
        start = stream.read(4096).lstrip("\ufeff \t\r\n")
        said = _SAID_DELIMITER.match(start)
        has_cr = "\r\n" not in start and start.count("\r") > start.count("\n")
    if start.casefold().startswith(_MARKUP):
        raise InputError(f"{path} is a page or a document, whatever its name says; save it as .xlsx or .csv")
    form = NAMES.get(encoding, encoding) + (", lines end with CR" if has_cr else "")
    if start.startswith("{"):
        return _json_lines(path, encoding, form)
    if start.startswith("[") and path.suffix.lower() in (".json", ".jsonl"):
        raise InputError(
            f"{path} is one JSON array; write one object per line (JSON lines), for example with jq -c '.[]'"
        )
    if said and not options.delimiter:
        options = replace(options, delimiter=said[1])
    return _separated(path, options, encoding, form, columns, furthest)


@contextmanager
def _text(path: Path, encoding: str) -> Iterator[Any]:
    """The file as text, line endings as they are; what is not in its encoding is an InputError."""
    try:
        with open(path, encoding=encoding, newline="") as stream:
            yield stream
    except UnicodeError as error:
        raise InputError(
            f"{path} is not {NAMES.get(encoding, encoding)} throughout ({error}); give --encoding"
        ) from error


def _separated(
    path: Path, options: TableOptions, encoding: str, form: str, columns: Sequence[str], furthest: int
) -> Table:
    delimiter = options.delimiter or _told_delimiter(path, options, encoding, columns)
    rows = _records(path, encoding, delimiter, options.quotes)
    header, row = _header(rows, options.header_row)
    form = f"text with {DELIMITERS.get(delimiter, repr(delimiter))} between cells, {form}"
    table = Table(path, form, [name.lstrip("\ufeff") for name in header], iter(()), header_row=row)
    width = len(header)
    if not width:
        first = next((each for each in rows if any(cell.strip() for cell in each[1])), None)
        rows = itertools.chain([first] if first else [], rows)
        width = len(first[1]) if first else 0
    least = max(table.places(columns[:furthest]), default=0) + 1
    table.rows = _checked(path, rows, (least, width), delimiter)
    return table


def _header(rows: Iterator[tuple[int, list[str]]], row: int) -> tuple[list[str], int]:
    """The first row from number `row` on that has anything in it, and its number; none for 0."""
    for number, (_, cells) in enumerate(rows if row else (), start=1):
        if number >= row and any(cell.strip() for cell in cells):
            return cells, number
    return [], row


def _told_delimiter(path: Path, options: TableOptions, encoding: str, columns: Sequence[str]) -> str:
    """The delimiter that shows the columns which are asked for, and as many cells in every row."""

    def fitness(delimiter: str) -> tuple[int, bool, int]:
        rows: list[list[str]] = []
        with suppress(DatasetError):  # what is read then says so
            for _, cells in itertools.islice(_records(path, encoding, delimiter, options.quotes), LOOKED_AT):
                rows.append(cells)
        row = options.header_row
        header = {loose(name) for name in (rows[row - 1] if 0 < row <= len(rows) else ())}
        widths = {len(cells) for cells in rows[max(0, row - 1) :] if cells}
        found = sum(loose(column) in header for column in columns)
        return found, len(widths) == 1 and widths != {1}, min(widths, default=0)

    order = sorted(DELIMITERS, key=lambda each: each != "\t" or path.suffix.lower() not in (".tsv", ".tab"))
    return max(order, key=fitness)


def _records(path: Path, encoding: str, delimiter: str, quotes: bool) -> Iterator[tuple[int, list[str]]]:
    """The rows of a file, with the line in which each begins."""
    csv.field_size_limit(MOST_CELL_CHARACTERS)
    line = 0
    with _text(path, encoding) as stream:
        lines = _lines(path, stream)
        quoting: Any = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
        reader = csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True)
        try:
            for cells in reader:
                yield line + 1, cells
                line = reader.line_num
        except csv.Error as error:
            raise DatasetError(
                path,
                line + 1,
                f"the row that begins here cannot be read ({error}): a quotation mark opens a cell and is not closed "
                "before a delimiter; write a mark within a cell twice, or give --quotes false if marks bound no cells",
            ) from error


def refuse_nul(path: Path, number: int, line: str) -> None:
    """Raise DatasetError where a line holds a NUL."""
    if "\0" in line:
        what = "the line holds a NUL byte; remove it, or give --encoding if the file is UTF-16 or UTF-32"
        raise DatasetError(path, number, what)


def _lines(path: Path, lines: Iterable[str]) -> Iterator[str]:
    """The lines of a file without NUL, a first one that says the delimiter left blank."""
    for number, line in enumerate(lines, start=1):
        refuse_nul(path, number, line)
        says_delimiter = number == 1 and _SAID_DELIMITER.match(line.lstrip("\ufeff"))
        yield "\n" if says_delimiter else line


def _checked(
    path: Path, rows: Iterator[tuple[int, list[str]]], widths: tuple[int, int], delimiter: str
) -> Iterator[Row]:
    """The rows; one that a delimiter or a line break has cut in two would give a text the label of another."""
    least, most = widths
    name = DELIMITERS.get(delimiter, delimiter)
    for line, cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        if any(cell.strip() for cell in cells[most:]):
            what = f"the row has {len(cells)} cells and the first row {most}"
            raise DatasetError(path, line, f"{what}; put cells that hold {name} in quotation marks")
        if len(cells) < least:
            what = f"the row ends after {len(cells)} cells, and {least} are needed"
            raise DatasetError(path, line, f"{what}; put cells that hold line breaks in quotation marks")
        yield Row(line, cells)


def _json_lines(path: Path, encoding: str, form: str) -> Table:
    known: dict[str, None] = {}
    for _, record in _objects(path, encoding):
        known.update(dict.fromkeys(record))
        if len(known) > MOST_KEYS:
            break
    keys = list(known)
    rows = (Row(line, [_cell(record.get(key)) for key in keys]) for line, record in _objects(path, encoding))
    return Table(path, f"JSON lines, {form}", keys, rows, keyed=True)


def _objects(path: Path, encoding: str) -> Iterator[tuple[int, dict[str, Any]]]:
    with _text(path, encoding) as stream:
        for line, content in enumerate(stream, start=1):
            if not (content := content.strip().lstrip("\ufeff")):
                continue
            try:
                record = parse_json(content)
            except ValueError as error:
                raise DatasetError(path, line, f"the line is no JSON ({error}); write one object per line") from error
            if not isinstance(record, dict):
                raise DatasetError(path, line, f"a JSON object is needed, not {content:.40}")
            yield line, record


def _cell(value: Any) -> Cell:
    if value is None:
        return ""
    return value if isinstance(value, (str, list)) else json.dumps(value, ensure_ascii=False)
