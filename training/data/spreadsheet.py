"""Reading a table out of a spreadsheet file, one row at a time: .xlsx, or the text that a spreadsheet program saves."""

from __future__ import annotations

import codecs
import csv
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

from pipeline.errors import DatasetError, InputError

_OLD_EXCEL = bytes.fromhex("d0cf11e0a1b11ae1")
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_MAX_COLUMNS = 16384  # of the file format; a damaged reference must not take all memory
_SHARED_STRINGS, _SHEETS = "xl/sharedStrings.xml", "xl/worksheets/"


def read_table(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield the cells of `columns` in each row below the header that has any, white space at their ends removed.

    Args:
        path: an .xlsx workbook, of which the first sheet is read, or tab- or comma-separated text in UTF-8 or,
            with a byte order mark, UTF-16.
        columns: names in the header, in which white space at the ends and case do not count.

    Raises:
        InputError: the file is missing, damaged, of another format, or lacks a column.
    """
    try:
        with open(path, "rb") as stream:
            start = stream.read(8)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if start == _OLD_EXCEL:
        raise InputError(f"{path} is in the old .xls format; save it as .xlsx or .csv with a spreadsheet program")
    try:
        yield from _named(path, _workbook_rows(path) if start[:2] == b"PK" else _text_rows(path, start), columns)
    except InputError:
        raise
    except (zipfile.BadZipFile, ElementTree.ParseError, UnicodeError, csv.Error, LookupError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a table ({error}); save it as .xlsx or as .csv in UTF-8") from error


def _named(path: Path, rows: Iterator[list[str]], columns: Sequence[str]) -> Iterator[tuple[str, ...]]:
    header = [name.strip().lower() for name in next(rows, [])]
    lacking = [name for name in columns if name.lower() not in header]
    if lacking:
        raise DatasetError(
            path, 1, f"there is no column {lacking[0]!r}; the header has {', '.join(header) or 'nothing'}"
        )
    places = [header.index(name.lower()) for name in columns]
    for row in rows:
        cells = tuple(row[place].strip() if place < len(row) else "" for place in places)
        if any(cells):
            yield cells


def _text_rows(path: Path, start: bytes) -> Iterator[list[str]]:
    utf16 = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    with open(path, encoding="utf-16" if utf16 else "utf-8-sig", newline="") as stream:
        delimiter = "\t" if "\t" in stream.readline() else ","
        stream.seek(0)
        yield from csv.reader(stream, delimiter=delimiter)


def _workbook_rows(path: Path) -> Iterator[list[str]]:
    with zipfile.ZipFile(path) as archive:
        sheets = [name for name in archive.namelist() if name.startswith(_SHEETS) and name.endswith(".xml")]
        if not sheets:
            raise InputError(f"{path} is an archive without a worksheet; give an .xlsx workbook")
        shared: list[str] = []
        if _SHARED_STRINGS in archive.namelist():
            with archive.open(_SHARED_STRINGS) as stream:
                shared = ["".join(text.text or "" for text in item.iter(f"{_MAIN}t")) for item in _each(stream, "si")]
        with archive.open(min(sheets, key=lambda name: (len(name), name))) as stream:
            for row in _each(stream, "row"):
                yield _cells(row, shared)


def _each(stream: IO[bytes], tag: str) -> Iterator[ElementTree.Element]:
    """Every element of that name, its content dropped once the next one is asked for."""
    for _, element in ElementTree.iterparse(stream):
        if element.tag == _MAIN + tag:
            yield element
            element.clear()


def _cells(row: ElementTree.Element, shared: Sequence[str]) -> list[str]:
    cells: list[str] = []
    for cell in row.iter(f"{_MAIN}c"):
        # Empty cells are left out of the file: the reference, such as BC12, says which one this is.
        place = 0
        for letter in cell.get("r", "").rstrip("0123456789"):
            place = place * 26 + int(letter, 36) - 9
        if place > _MAX_COLUMNS:
            raise ValueError(f"cell reference {cell.get('r')!r:.20}")
        cells += [""] * (place - 1 - len(cells))
        value = cell.findtext(f"{_MAIN}v", "")
        if cell.get("t") == "s":
            value = shared[int(value)]
        elif cell.get("t") == "inlineStr":
            value = "".join(text.text or "" for text in cell.iter(f"{_MAIN}t"))
        cells.append(value)
    return cells
