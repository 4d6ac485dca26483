"""The plan: files are looked at and cut into shards, always the same ones."""

from __future__ import annotations

import codecs
import hashlib
import math
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import IO

import aiohttp
import pyarrow as pa

from pipeline.errors import InputError
from pipeline.files.dataset import split_labels
from pipeline.files.wide_encodings import START_BYTES, wide_encoding
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.option_values import AUTO
from serving.bulk.options import CSV, LABELLED, PARQUET, TEXTS, BulkOptions
from serving.bulk.parquet import row_groups
from serving.bulk.sources import Source, SourceError, opened

LOOKS_AT_ONCE = 8
READ_FAULTS = (OSError, EOFError, ValueError, zlib.error, pa.ArrowException, aiohttp.ClientError)
"""What reading a file raises that is cut short, damaged or out of reach.

ValueError: names in Parquet that are not UTF-8, and servers that hand a file on from its beginning only.
"""
MOST_SHOWN = 3


@dataclass(frozen=True)
class Shard:
    """A part of a file, answered at one go.

    Attributes:
        source: the file.
        number: its place in the file, from 0.
        start, end: of Parquet its rows; of other files, bytes of the decompressed file; the lines that begin there are
            its own. `end` is infinite where the file is not cut.
        weight: bytes of the file, about, that it takes to read.
    """

    source: Source
    number: int
    start: int
    end: float
    weight: int

    @property
    def name(self) -> str:
        """What messages and the manifest call it."""
        if self.source.format == PARQUET:
            return f"{self.source.name}#{self.number}"
        return self.source.name if math.isinf(self.end) else f"{self.source.name}@{self.start}-{self.end:.0f}"

    @property
    def file_stem(self) -> str:
        """What its files in the output are called, whatever other files there are."""
        return f"{hashlib.sha256(self.source.name.encode()).hexdigest()[:16]}-{self.number:06d}"


def plan(sources: Sequence[Source], options: BulkOptions, hierarchy: LabelHierarchy) -> list[Shard]:
    """The shards of all files, in their order.

    Raises:
        SourceError: some files cannot be read, lack a column, or are of another encoding; the message names the first.
    """
    with ThreadPoolExecutor(LOOKS_AT_ONCE) as pool:
        looked = list(pool.map(partial(_looked_at, options=options, hierarchy=hierarchy), sources))
    faults = [found for found in looked if isinstance(found, InputError)]
    if faults:
        more = f"; and {len(faults) - MOST_SHOWN:,} files more" if len(faults) > MOST_SHOWN else ""
        raise SourceError("; ".join(map(str, faults[:MOST_SHOWN])) + more)
    return [shard for found in looked if not isinstance(found, InputError) for shard in found]


def _looked_at(source: Source, options: BulkOptions, hierarchy: LabelHierarchy) -> list[Shard] | InputError:
    """The shards of a file, or what is wrong with it."""
    try:
        if source.format == PARQUET:
            with opened(source) as stream:
                groups = list(row_groups(stream, source.name, source.size, options))
            return [Shard(source, *group) for group in groups]
        if source.compression and not source.size:
            raise SourceError(f"{source.name} is empty, as no compressed file is; write it again")
        with opened(source) as stream:
            start = stream.read(START_BYTES)
            _check_parts(stream, source, list(_ranges(source, options)))
        _check_encoding(source, start)
        if source.format == TEXTS and options.format == AUTO:
            source = _told_by_tabs(source, start, hierarchy)
        return list(_ranges(source, options))
    except InputError as error:
        return error
    except READ_FAULTS as error:
        return SourceError(f"{source.name} cannot be read: {error}; is it cut short, or of another form?")


def _check_encoding(source: Source, start: bytes) -> None:
    advice = "convert it to UTF-8, for example with iconv -f {} -t UTF-8"
    if wide := wide_encoding(start):
        raise SourceError(f"{source.name} is {wide}; {advice.format(wide)}")
    lines = start.splitlines()[: -1 if len(start) == START_BYTES else None]
    faulty = [line for line in lines if not _decodable(line, "utf-8")]
    if 2 * len(faulty) > len(lines):  # fewer are bad rows
        guess = "GB18030" if all(_decodable(line, "gb18030") for line in faulty) else "ITS_ENCODING"
        raise SourceError(f"{source.name} is not UTF-8; {advice.format(guess)}")


def _decodable(line: bytes, encoding: str) -> bool:
    try:
        codecs.decode(line, encoding)
    except UnicodeDecodeError:
        return False
    return True


def _told_by_tabs(source: Source, start: bytes, hierarchy: LabelHierarchy) -> Source:
    """A file of texts; with its right form where it begins with labelled rows.

    Raises:
        SourceError: what follows tabs are no labels of the model, so that it can be read in two ways.
    """
    rows = [line.split("\t") for line in start.decode("utf-8", "replace").split("\n")]
    rows = [row for row in (rows[:-1] if len(start) == START_BYTES else rows) if len(row) > 1]
    if not rows:
        return source
    if any(len(row) > 2 or not all(label in hierarchy for label in split_labels(row[1])) for row in rows):
        raise SourceError(
            f"{source.name} has tabs, and what follows them are no labels of the model; say --format {TEXTS} where "
            f"tabs are part of the texts, --format {LABELLED} where labels follow them"
        )
    return Source(source.name, source.url, source.size, source.version, LABELLED, source.compression)


def _check_parts(stream: IO[bytes], source: Source, shards: Sequence[Shard]) -> None:
    """Raise SourceError where a server hands a file on as a whole alone, and it is read in parts."""
    if len(shards) > 1 and not source.local:
        try:
            stream.seek(source.size - 1)
            stream.read(1)
        except ValueError as error:
            raise SourceError(
                f"{source.name}: the server sends no parts (HTTP ranges); fetch the file first"
            ) from error


def _ranges(source: Source, options: BulkOptions) -> Iterator[Shard]:
    if source.format == CSV or source.compression:
        if source.size:
            yield Shard(source, 0, 0, math.inf, source.size)
        return
    cuts = [*range(0, source.size, options.shard_bytes), source.size]
    for number, (start, end) in enumerate(pairwise(cuts)):
        yield Shard(source, number, start, end, end - start)
