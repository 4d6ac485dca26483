"""The rows of a shard, read as they come: id, text, or why there is none."""

from __future__ import annotations

import csv
import json
import zlib
from collections.abc import Iterator, Sequence
from typing import IO, Any, NamedTuple

from pipeline.files.lines import MAX_LINE_BYTES
from pipeline.records import parse_json
from pipeline.text.normalisation import text_fault
from serving.bulk.options import CSV, JSON_LINES, LABELLED, PARQUET, TEXTS, ReadingOptions
from serving.bulk.parquet import column_fault, read_group
from serving.bulk.shards import READ_FAULTS, Shard
from serving.bulk.sources import BUFFER_BYTES, Meter, SourceError, opened

Raw = bytes | None
NOT_UTF8 = "the text is not UTF-8"
MAX_ID_CHARACTERS = 4096


class Row(NamedTuple):
    """A row of the input.

    Attributes:
        place: the file and, behind `:`, the row from 1 (Parquet, CSV), or behind `@` the byte at which its line begins,
            of the decompressed file.
        id: as the input has it, or `place`.
        text: what is to be classified; empty where there is a fault.
        fault: why the row cannot be answered, without a word of its text; empty where nothing is wrong.
    """

    place: str
    id: str
    text: str
    fault: str = ""


def read_rows(shard: Shard, options: ReadingOptions, meter: Meter | None = None) -> Iterator[Row]:
    """The rows of a shard in their order; of a sample those that are drawn.

    Args:
        meter: tells how far it is read.

    Raises:
        SourceError: the file is damaged, out of reach, or lacks a column.
    """
    read = {PARQUET: _parquet, CSV: _csv, JSON_LINES: _json_lines, TEXTS: _texts, LABELLED: _labelled}
    try:
        with opened(shard.source, meter) as stream:
            for row in read[shard.source.format](stream, shard, options):
                if options.sample is None or zlib.crc32(row.place.encode()) < options.sample * (1 << 32):
                    yield (
                        row if row.fault or not (fault := text_fault(row.text)) else row._replace(text="", fault=fault)
                    )
    except SourceError:
        raise
    except READ_FAULTS as error:
        raise SourceError(f"{shard.name} cannot be read to its end: {error}") from error


def _parquet(stream: IO[bytes], shard: Shard, options: ReadingOptions) -> Iterator[Row]:
    number = shard.start
    for text, own in read_group(stream, shard.source.name, shard.number, options):
        number += 1
        yield _row(f"{shard.source.name}:{number}", text, own, options)
    if number != shard.end:
        count = f"{number - shard.start:,} of {shard.end - shard.start:,.0f} rows"
        raise SourceError(f"{shard.name} is damaged: {count} can be read; write the file again")


def _csv(stream: IO[bytes], shard: Shard, options: ReadingOptions) -> Iterator[Row]:
    name = shard.source.name
    csv.field_size_limit(MAX_LINE_BYTES)
    records = csv.reader(_csv_lines(stream, name), strict=True)
    try:
        header = next(records, [])
        text_place = _place(name, header, "text_column", options.text_column)
        id_place = None if options.id_column is None else _place(name, header, "id_column", options.id_column)
        for number, fields in enumerate(records, 1):
            place = f"{name}:{number}"
            if len(fields) == len(header):
                yield _row(place, fields[text_place], None if id_place is None else fields[id_place], options)
            else:
                yield Row(place, place, "", f"there are {len(fields)} fields, and {len(header)} names of columns")
    except csv.Error as error:
        raise SourceError(
            f"{name}: line {records.line_num} is no CSV ({error}); fields with quotes, commas or line breaks stand in "
            "quotes, with each quote doubled"
        ) from error


def _place(name: str, header: Sequence[str], option: str, column: str) -> int:
    if header.count(column) == 1:
        return header.index(column)
    raise SourceError(
        f"{column_fault(name, header, option, column)}; the first line has to hold the names of the columns, between "
        "commas"
    )


def _csv_lines(stream: IO[bytes], name: str) -> Iterator[str]:
    for offset, raw in lines(stream):
        if raw is None:
            raise SourceError(f"{name}: the line at byte {offset} is longer than {MAX_LINE_BYTES:,} bytes")
        # What is no UTF-8 stays to be seen in its row.
        text = raw.decode("utf-8", "surrogateescape")
        yield text if offset else text.removeprefix("\ufeff")


def _json_lines(stream: IO[bytes], shard: Shard, options: ReadingOptions) -> Iterator[Row]:
    for place, line, fault in _lines(stream, shard):
        if fault:
            yield Row(place, place, "", fault)
            continue
        try:
            fields = parse_json(line)
        except json.JSONDecodeError as error:
            yield Row(place, place, "", f"the line is no JSON: {error.msg} at character {error.pos + 1}")
            continue
        except ValueError:
            reason = "a key stands twice, a number is too large, half of a surrogate pair, or too many levels"
            yield Row(place, place, "", f"the JSON is not taken: {reason}")
            continue
        names = (options.text_column, *([options.id_column] if options.id_column is not None else []))
        if missing := [name for name in names if not isinstance(fields, dict) or name not in fields]:
            yield Row(place, place, "", f"there is no field {missing[0]!r}")
            continue
        own = fields[options.id_column] if options.id_column is not None else None
        yield _row(place, fields[options.text_column], own, options)


def _texts(stream: IO[bytes], shard: Shard, options: ReadingOptions) -> Iterator[Row]:
    tabs = options.format == TEXTS
    tab = f"there is a tab; say --format {TEXTS} where tabs are part of the texts, or --format {LABELLED}"
    for place, text, fault in _lines(stream, shard):
        if fault or (not tabs and "\t" in text):
            yield Row(place, place, "", fault or tab)
        else:
            yield Row(place, place, text)


def _labelled(stream: IO[bytes], shard: Shard, options: ReadingOptions) -> Iterator[Row]:
    for place, line, fault in _lines(stream, shard):
        text, *rest = line.split("\t")
        if fault or len(rest) > 1:
            yield Row(place, place, "", fault or f"there are {len(rest)} tabs; a row is a text, a tab and labels")
        else:
            yield Row(place, place, text)


def _lines(stream: IO[bytes], shard: Shard) -> Iterator[tuple[str, str, str]]:
    """Place, line and fault of each line."""
    for offset, raw in lines(stream, shard.start, shard.end):
        text, fault = _decoded(raw)
        yield f"{shard.source.name}@{offset}", text, fault


def lines(stream: IO[bytes], start: int = 0, end: float = float("inf")) -> Iterator[tuple[int, Raw]]:
    """The lines that begin from byte `start` to before byte `end`, each with its byte; None of one that is too long."""
    place = start
    if start:
        stream.seek(start - 1)
        place = start - 1 + _rest(stream)
    while place < end and (raw := stream.readline(MAX_LINE_BYTES + 1)):
        if len(raw) <= MAX_LINE_BYTES:
            yield place, raw
            place += len(raw)
        else:
            yield place, None
            place += len(raw) + (0 if raw.endswith(b"\n") else _rest(stream))


def _rest(stream: IO[bytes]) -> int:
    """Go to the end of the line; how many bytes that took."""
    count = 0
    while piece := stream.readline(BUFFER_BYTES):
        count += len(piece)
        if piece.endswith(b"\n"):
            break
    return count


def _decoded(raw: Raw) -> tuple[str, str]:
    """A line without its end, and what is wrong with it."""
    if raw is None:
        return "", f"the line is longer than {MAX_LINE_BYTES:,} bytes"
    try:
        text = raw.decode().removeprefix("\ufeff").rstrip("\r\n")
    except UnicodeDecodeError as error:
        return "", f"byte {error.start + 1} of the line is not UTF-8"
    for character, called in (("\r", "a carriage return"), ("\0", "a NUL byte")):
        if character in text:
            return "", f"the line holds {called}"
    return text, ""


def _row(place: str, text: Any, own: Any, options: ReadingOptions) -> Row:
    """A row of values that may be of any kind."""
    fault = ""
    if options.id_column is None:
        own = place
    elif isinstance(own, int) and not isinstance(own, bool):
        own = str(own)
    elif own is None or own == "":
        own, fault = place, "there is no id"
    elif not isinstance(own, str):
        own, fault = place, f"the id is {type(own).__name__}, neither a string nor a whole number"
    elif not _encodable(own):
        own, fault = place, "the id is not UTF-8"
    elif len(own) > MAX_ID_CHARACTERS:
        own, fault = place, f"the id has {len(own):,} characters, more than {MAX_ID_CHARACTERS:,}"
    if text is None:
        fault = fault or "there is no text"
    elif isinstance(text, bytes):
        fault = fault or NOT_UTF8
    elif not isinstance(text, str):
        fault = fault or f"the text is {type(text).__name__}, no string"
    elif not _encodable(text):
        fault = fault or NOT_UTF8
    elif "\0" in text:
        fault = fault or "the text holds a NUL byte"
    return Row(place, own, "" if fault else text, fault)


def _encodable(text: str) -> bool:
    """Whether it has UTF-8; halves of surrogate pairs have none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
