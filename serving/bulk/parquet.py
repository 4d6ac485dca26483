"""Row groups of Parquet files: found, and read in bounded memory; damage is refused, never read as fewer rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.files.chunks import CHARACTERS_PER_CHUNK, ROWS_PER_CHUNK
from serving.bulk.options import ReadingOptions
from serving.bulk.sources import BUFFER_BYTES, SourceError

MOST_COLUMNS = 20
"""That a message names."""
ROWS_OF_DELTAS = 16
"""Values that are written as differences may be read at once: what they take cannot be told before."""


def row_groups(stream: IO[bytes], name: str, size: int, options: ReadingOptions) -> Iterator[tuple[int, int, int, int]]:
    """Number, first row, end and bytes, about, of each row group that has rows.

    Args:
        name, size: of the file; the size is in bytes.

    Raises:
        SourceError: a column is absent, or the counts of rows contradict each other.
    """
    with pq.ParquetFile(stream) as file:
        check_columns(name, file.schema_arrow, options)
        # Not group.column(): on damaged statistics that ends the process.
        rows = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
        if min(rows, default=0) < 0 or sum(rows) != file.metadata.num_rows:
            raise SourceError(
                f"{name} is damaged: its row groups have {sum(rows):,} rows, and the file {file.metadata.num_rows:,}; "
                "write it again"
            )
    start = 0
    for number, count in enumerate(rows):
        if count:
            yield number, start, start + count, max(1, size * count // sum(rows))
        start += count


def read_group(stream: IO[bytes], name: str, number: int, options: ReadingOptions) -> Iterator[tuple[Any, Any]]:
    """Text and id of each row of a row group; the id is empty where there is no column of ids.

    Values are None where there are none, and bytes where they are not UTF-8.
    """
    columns = [options.text_column, *([options.id_column] if options.id_column is not None else [])]
    how = {"buffer_size": BUFFER_BYTES, "page_checksum_verification": True}
    with pq.ParquetFile(stream, **how) as file:
        check_columns(name, file.schema_arrow, options)
        next(
            file.iter_batches(1, [number], columns, use_threads=False), None
        )  # raises where group.column() would abort
        group = file.metadata.row_group(number)
        paths = [file.schema.column(place).path for place in range(group.num_columns)]
        held = {path: group.column(place) for place, path in enumerate(paths) if path in columns}
        size = sum(column.total_uncompressed_size for column in held.values())
        rows = max(1, min(ROWS_PER_CHUNK, CHARACTERS_PER_CHUNK * group.num_rows // max(1, size)))
        if any("DELTA_BYTE_ARRAY" in column.encodings for column in held.values()):
            rows = min(rows, ROWS_OF_DELTAS)
        # A long text that stands in many rows is held once.
        kept = [path for path, column in held.items() if _is_dictionary(column.encodings)]
        with pq.ParquetFile(stream, read_dictionary=kept, metadata=file.metadata, **how) as again:
            for batch in again.iter_batches(rows, [number], columns, use_threads=False):
                texts = _values(batch.column(options.text_column))
                ids = _values(batch.column(options.id_column)) if options.id_column is not None else [""] * len(batch)
                yield from zip(texts, ids)


def _is_dictionary(encodings: Sequence[str]) -> bool:
    """Whether all its strings can be read as a dictionary."""
    return any(each.endswith("DICTIONARY") for each in encodings) and "DELTA_BYTE_ARRAY" not in encodings


def check_columns(name: str, schema: pa.Schema, options: ReadingOptions) -> None:
    """Raise InputError where a Parquet file lacks a column, or it is of a type that is none of texts, or of ids."""
    for option, column in (("text_column", options.text_column), ("id_column", options.id_column)):
        if column is None:
            continue
        if schema.names.count(column) != 1:
            raise SourceError(column_fault(name, schema.names, option, column))
        kind = schema.field(column).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
        if not text and (option == "text_column" or not pa.types.is_integer(kind)):
            wanted = "strings" if option == "text_column" else "strings or whole numbers"
            raise SourceError(f"{name}: column {column!r} holds {kind}; --{option} takes {wanted}")


def column_fault(name: str, columns: Sequence[str], option: str, column: str) -> str:
    """Why an option does not name one of a file's columns."""
    several = columns.count(column)
    said = f"names {several} columns of" if several else "is no column of"
    held = ", ".join(f"{each:.40}" for each in columns[:MOST_COLUMNS]) + ", ..." * (len(columns) > MOST_COLUMNS)
    return f"--{option} {column} {said} {name}, which has {held or 'none'}"


def _values(column: pa.Array) -> list[Any]:
    """Its values; bytes where they are no UTF-8, which Parquet does not look after."""
    if pa.types.is_dictionary(column.type):
        places = column.indices.dictionary_encode()  # one batch uses few of a large dictionary
        held = _values(column.dictionary.take(places.dictionary))
        return [None if place is None else held[place] for place in places.indices.to_pylist()]
    try:
        return column.to_pylist()
    except UnicodeDecodeError:
        values = column.cast(pa.large_binary()).to_pylist()
        return [value if value is None or (text := _utf8(value)) is None else text for value in values]


def _utf8(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None
