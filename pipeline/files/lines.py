"""The lines of a file in UTF-8, read as they come; what is no such file is told apart and refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from pipeline.errors import DatasetError, InputError
from pipeline.files.wide_encodings import START_BYTES, wide_encoding

MAX_LINE_BYTES = 1 << 24
"""Of a line: a text and its labels."""
_PACKED = (".gz", ".bz2", ".zst")
_BULK = "python -m serving.bulk --input {} --text_column COLUMN"
_ONCE_CSV = f"save it as CSV: {_BULK.format('FILE.csv')} reads that"
_READ_BY = {
    **dict.fromkeys((".csv", ".parquet", ".jsonl", ".ndjson"), f"{_BULK} reads it"),
    **dict.fromkeys((".xlsx", ".xls", ".ods", ".json"), _ONCE_CSV),
    ".tsv": f"take its column of texts, for example by cut -f1, or {_ONCE_CSV}",
}
"""What to do with files of other forms, by their endings; files of texts and of labelled rows are named .txt."""


def read_lines(source: Path | str | Iterable[bytes]) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line without its ending) of a UTF-8 file; a byte order mark is dropped.

    A binary stream, or anything else that gives lines, is read as well; its `name` stands in messages.

    Raises:
        InputError: the file is missing or unreadable.
        DatasetError: a line is not UTF-8, or longer than MAX_LINE_BYTES.
    """
    if isinstance(source, (str, Path)):
        try:
            with open(source, "rb") as stream:
                yield from _decoded_lines(bounded_lines(stream), str(source))
        except OSError as error:
            raise InputError(f"cannot read {source}: {error.strerror}") from error
    else:
        yield from _decoded_lines(source, file_name(source))


def check_holds_texts(path: Path | str) -> None:
    """Raise InputError for a file that is a table by its name: its lines would be taken for texts."""
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    packed = suffixes and suffixes[-1] in _PACKED
    if advice := _READ_BY.get("".join(suffixes[:-1][-1:] if packed else suffixes[-1:])):
        raise InputError(
            f"{path} is by its name no file with a text on each line; {advice.format(path)}; if each line is a text, "
            "rename it to .txt"
        )


def bounded_lines(stream: IO[bytes]) -> Iterator[bytes]:
    """The lines of a stream with their endings; of one that is longer than MAX_LINE_BYTES, pieces that are."""
    return iter(lambda: stream.readline(MAX_LINE_BYTES + 1), b"")


def file_name(source: object) -> str:
    """What messages call the source of lines."""
    return str(source) if isinstance(source, (str, Path)) else getattr(source, "name", "input")


def _decoded_lines(stream: Iterable[bytes], name: str) -> Iterator[tuple[int, str]]:
    lines = iter(stream)
    for number, raw in enumerate(lines, start=1):
        if len(raw) > MAX_LINE_BYTES:
            raise DatasetError(name, number, f"the line is longer than {MAX_LINE_BYTES:,} bytes; shorten it")
        try:
            line = raw.decode("utf-8").removeprefix("\ufeff")  # also where files were joined, each with a mark
        except UnicodeDecodeError as error:
            raise DatasetError(name, number, _encoding_fault(raw, _wide(number, raw, lines), error)) from error
        line = line.rstrip("\r\n")
        if "\r" in line:
            reason = "the line holds a carriage return; let lines end with LF, for example with tr '\\r' '\\n'"
            raise DatasetError(name, number, reason)
        if "\0" in line:
            form = _wide(number, raw, lines)
            advice = f"as {form} has; {_CONVERT.format(form)}" if form else "which is no text; remove it"
            raise DatasetError(name, number, f"the line holds a NUL byte, {advice}")
        yield number, line


_CONVERT = "convert the file to UTF-8, for example with iconv -f {} -t UTF-8"


def _encoding_fault(raw: bytes, wide: str | None, error: UnicodeDecodeError) -> str:
    """What the line is instead of UTF-8, and what to do."""
    if wide:
        return f"the file is {wide}; {_CONVERT.format(wide)}"
    byte = f"byte {error.start + 1} (0x{raw[error.start]:02x}) is not UTF-8"
    try:
        return f"{byte}; read as GB18030 it is {raw.decode('gb18030').strip()!r:.40}; {_CONVERT.format('GB18030')}"
    except UnicodeDecodeError:
        return f"{byte}, and the line is not GB18030 either; save the file as UTF-8 with the program that wrote it"


def _wide(number: int, raw: bytes, following: Iterator[bytes]) -> str | None:
    """The encoding of a file of two or four bytes a character, told in its first line."""
    pieces = [raw]
    while number == 1 and sum(map(len, pieces)) < START_BYTES and (piece := next(following, b"")):
        pieces.append(piece)
    return wide_encoding(b"".join(pieces)) if number == 1 else None
