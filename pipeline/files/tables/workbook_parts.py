"""A workbook's parts, copied within bounds: what a library may read without running out of memory or time.

A workbook is an archive of XML files. A small one can unpack to gigabytes, and its XML may declare entities that
multiply, rows that lie millions below each other, or nests of any depth. Nothing of it is trusted: each part is
unpacked to the size that the archive states and no further, parsed once, and refused where it leaves the bounds.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO
from xml.parsers import expat

from pipeline.errors import InputError

MOST_FILE_BYTES, MOST_BYTES, MOST_PARTS = 1 << 28, 1 << 28, 10_000
"""Of the workbook, of its parts when they are unpacked, and how many there may be."""
MOST_ELEMENTS, MOST_OTHERS, DEEPEST = 4_000_000, 500_000, 100
"""Of XML: about two for a cell and two for a text; of others (styles, merged cells, links) each becomes an object of
a kilobyte; and how many lie in each other."""
MOST_ROWS, MOST_COLUMNS = 1 << 20, 1 << 14
"""As the file format has them."""

_OTHERS = {"xl/workbook.bin": "a binary workbook (.xlsb)", "content.xml": "a document of OpenDocument, such as .ods"}
_MACROS = "vbaproject.bin"
_PLAIN = frozenset(("row", "c", "v", "f", "is", "t", "si"))
_ENTRY = b"PK\x01\x02"
_CHUNK_BYTES = 1 << 16
_REFERENCE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")


@dataclass
class Part:
    """What is noted of a worksheet while its XML goes by.

    Attributes:
        formulas: cells with a formula whose value was written.
        valueless: (row, column), from 1, of cells with a formula whose value was not written.
        merged: first row, last row and column, from 1, of cells that are merged down a column.
    """

    formulas: int = 0
    valueless: set[tuple[int, int]] = field(default_factory=set)
    merged: list[tuple[int, int, int]] = field(default_factory=list)


@contextmanager
def copied_parts(path: Path) -> Iterator[tuple[IO[bytes], dict[str, Part], bool]]:
    """A new archive with the XML parts of a workbook alone, what was noted of each by its name, and whether there were
    macros.

    Raises:
        InputError: the workbook leaves a bound.
        zipfile.BadZipFile, expat.ExpatError, and others: it is damaged.
    """
    if path.stat().st_size > MOST_FILE_BYTES:
        raise _too_large(path, f"{MOST_FILE_BYTES >> 20} MB")
    with open(path, "rb") as stream:
        if sum(chunk.count(_ENTRY) for chunk in iter(lambda: stream.read(1 << 20), b"")) > MOST_PARTS:
            raise _too_large(path, f"{MOST_PARTS:,} parts")
    with zipfile.ZipFile(path) as archive, SpooledTemporaryFile(max_size=1 << 24) as copy:
        infos = {
            info.filename: info for info in archive.infolist() if info.filename.lower().endswith((".xml", ".rels"))
        }
        for name, kind in _OTHERS.items():
            if name in archive.NameToInfo:
                raise InputError(f"{path} is {kind}; save it as .xlsx or .csv")
        if sum(info.file_size for info in infos.values()) > MOST_BYTES:
            raise _too_large(path, f"{MOST_BYTES >> 20} MB when it is unpacked")
        reader = _Reader(path)
        with zipfile.ZipFile(copy, "w") as target:
            parts = {}
            for name, info in infos.items():
                with archive.open(info) as source, target.open(name, "w") as sink:
                    parts[name] = reader.read(source, sink)
        copy.seek(0)
        yield copy, parts, any(name.lower().endswith(_MACROS) for name in archive.NameToInfo)


def _too_large(path: Path, bound: str) -> InputError:
    return InputError(f"{path} is larger than a workbook may be ({bound}); save the sheet as .csv")


class _Reader:
    """Parses parts, and counts over all of them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._elements = self._others = self._cells = 0  # empty cells before the last one of a row count as cells

    def read(self, source: IO[bytes], sink: IO[bytes]) -> Part:
        self._part, self._depth, self._row, self._column = Part(), 0, 0, 0
        self._has_formula = self._has_value = self._in_row = False  # the chain of formulas has cells without rows
        parser = self._parser = expat.ParserCreate()
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.StartDoctypeDeclHandler = self._refuse_declarations
        while chunk := source.read(_CHUNK_BYTES):
            parser.Parse(chunk, False)
            sink.write(chunk)
        parser.Parse(b"", True)
        return self._part

    def _refuse_declarations(self, *_: object) -> None:
        raise InputError(
            f"{self._path} declares XML entities, which no spreadsheet program does; save the sheet as .csv"
        )

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        self._depth += 1
        if max(self._elements, self._cells // 8) > MOST_ELEMENTS or self._depth > DEEPEST:
            raise _too_large(self._path, f"{MOST_ELEMENTS:,} cells and texts")
        name = name.rpartition(":")[2]
        if name not in _PLAIN:
            self._others += 1
            if self._others > MOST_OTHERS:
                raise _too_large(self._path, f"{MOST_OTHERS:,} formats and the like")
        if name == "c":
            before, self._column = self._column, self._column + 1
            if reference := attributes.get("r"):
                self._row, self._column = self._place(reference)
            if self._in_row and self._column <= before:
                raise InputError(
                    f"{self._path} is damaged: row {self._row} has cell {reference} twice or out of order; open it in "
                    "a spreadsheet program and save it again"
                )
            if self._column > MOST_COLUMNS:
                raise _too_large(self._path, f"{MOST_COLUMNS:,} columns")
            self._cells += max(0, self._column - before)
            self._has_formula, self._has_value = False, attributes.get("t") == "str"  # which may be empty
        elif name == "f":
            self._has_formula = True
        elif name == "v" and self._has_formula:
            self._parser.CharacterDataHandler = self._text
        elif name == "row":
            self._row = self._number(attributes.get("r", str(self._row + 1)))
            self._column, self._in_row = 0, True
        elif name == "mergeCell":
            first, _, last = attributes.get("ref", "").partition(":")
            (top, column), (bottom, _) = self._place(first), self._place(last or first)
            if bottom > top:
                self._part.merged.append((top, bottom, column))

    def _end(self, name: str) -> None:
        self._depth -= 1
        self._parser.CharacterDataHandler = None
        name = name.rpartition(":")[2]
        self._in_row &= name != "row"
        if self._has_formula and name == "c":
            if self._has_value:
                self._part.formulas += 1
            else:
                self._part.valueless.add((self._row, self._column))

    def _text(self, _: str) -> None:
        self._has_value = True

    def _number(self, word: str) -> int:
        if not re.fullmatch("[0-9]{1,7}", word) or not 0 < int(word) <= MOST_ROWS:
            raise InputError(f"{self._path} is damaged: it has a row {word!r:.20}; save the sheet as .csv")
        return int(word)

    def _place(self, reference: str) -> tuple[int, int]:
        """(row, column) of a reference such as BC12."""
        found, column = _REFERENCE.fullmatch(reference), 0
        for letter in found[1] if found else "":
            column = column * 26 + ord(letter) - 64
        if not found or column > MOST_COLUMNS:
            raise InputError(f"{self._path} is damaged: it has a cell {reference!r:.20}; save the sheet as .csv")
        return self._number(found[2]), column
