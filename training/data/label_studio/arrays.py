"""A JSON array of objects of any length, read object by object."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from pipeline.errors import DatasetError
from pipeline.records import MOST_BYTES, parse_json

CHUNK_BYTES = 1 << 20
_GAP = re.compile(r"[ \t\r\n]*")


def read_array(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of the JSON array that a file holds.

    Raises:
        OSError: it cannot be read.
        DatasetError: it is no such array; the message tells the line, and the character of the file.
    """
    with open(path, "rb") as stream:
        yield from _Reader(path, stream).objects()


class _Reader:
    """The part of a file that is being read: `text` from character `start` of the file on, its place `here` in it."""

    def __init__(self, path: Path, stream: IO[bytes]) -> None:
        self._path, self._stream, self._decode = path, stream, codecs.getincrementaldecoder("utf-8-sig")().decode
        self._text, self._here, self._start, self._lines, self._bytes, self._ended = "", 0, 0, 1, 0, False
        self._number = 0

    def objects(self) -> Iterator[dict[str, Any]]:
        if self._next() != "[":
            raise self._fault("a JSON array begins with [")
        self._here += 1
        while (sign := self._next()) != "]":
            if self._number and sign != ",":
                raise self._fault("a comma or ] is needed")
            self._here += bool(self._number)
            self._number += 1
            if self._next() != "{":
                raise self._fault("a JSON object is needed")
            end = self._end()
            try:
                yield parse_json(self._text[self._here : end])
            except ValueError as error:
                raise self._fault(str(error)) from None
            self._here = end
        self._here += 1
        if self._next():
            raise self._fault("nothing may follow the array")

    def _next(self) -> str:
        """The next sign that is no white space; empty at the end of the file."""
        while True:
            self._here = _GAP.match(self._text, self._here).end()  # type: ignore[union-attr]
            if self._here < len(self._text):
                return self._text[self._here]
            if not self._more():
                return ""

    def _end(self) -> int:
        """Where the object ends that begins here."""
        while True:
            try:
                return json.JSONDecoder().raw_decode(self._text, self._here)[1]
            except RecursionError:
                raise self._fault("lists and objects are nested too deep") from None
            except json.JSONDecodeError as error:
                if len(self._text) - self._here > MOST_BYTES:
                    raise self._fault(f"it is larger than {MOST_BYTES:,} characters, or damaged") from None
                if not self._more():
                    self._here = error.pos
                    raise self._fault(error.msg) from None

    def _more(self) -> bool:
        """Read on, as much again as there is, so that a long object is looked through a few times only."""
        if self._ended:
            return False
        self._lines += self._text.count("\n", 0, self._here)
        self._text, self._start, self._here = self._text[self._here :], self._start + self._here, 0
        raw = self._stream.read(max(CHUNK_BYTES, len(self._text)))
        self._ended = not raw
        try:
            self._text += self._decode(raw, self._ended)
        except UnicodeDecodeError as error:
            raise DatasetError(self._path, None, f"byte {self._bytes + error.start + 1} is not UTF-8") from None
        self._bytes += len(raw)
        return not self._ended

    def _fault(self, reason: str) -> DatasetError:
        line = self._lines + self._text.count("\n", 0, self._here)
        which = f"task {self._number}" if self._number else "the file"
        reason = f"{which} is no JSON of Label Studio at character {self._start + self._here + 1:,}: {reason}"
        return DatasetError(self._path, line, f"{reason}; export it again")
