"""Ids that stand in several rows, counted exactly and in bounded memory."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from pipeline.files.atomic import atomic_writer

IDS_AT_ONCE = 1 << 19
"""Ids that are held at once, about: some 100 MB."""
MOST_PILES = 512
"""Files that are open at once."""
ROWS_AT_ONCE = 1 << 14


class Duplicates(NamedTuple):
    """How many ids stand in several rows, and how many rows these have together."""

    ids: int
    rows: int


def find_duplicates(parts: Sequence[Path], rows: int, scratch: Path, found: Path) -> Duplicates:
    """Count the ids of parts; those that stand in several rows are written to `found`, a line of JSON each.

    Ids are spread over piles by a checksum, so that equal ones lie in one, and each pile is counted by itself.

    Args:
        rows: of all parts.
        scratch: a folder for the piles, which take about as much room as the ids.
        found: the file, removed where there are none.
    """
    folder = Path(tempfile.mkdtemp(prefix="ids.", dir=scratch))
    try:
        piles = [folder / str(number) for number in range(min(MOST_PILES, rows // IDS_AT_ONCE + 1))]
        _spread(parts, piles)
        ids = doubled = 0
        with atomic_writer(found) as stream:
            for pile in piles:
                for each, count in _repeated(pile):
                    stream.write(f"{json.dumps({'id': each, 'rows': count}, ensure_ascii=False)}\n".encode())
                    ids, doubled = ids + 1, doubled + count
        if not ids:
            found.unlink()
        return Duplicates(ids, doubled)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _spread(parts: Sequence[Path], piles: Sequence[Path]) -> None:
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(open(pile, "wb")) for pile in piles]
        for part in parts:
            with pq.ParquetFile(part) as file:
                for batch in file.iter_batches(ROWS_AT_ONCE, columns=["id"], use_threads=False):
                    for each in batch.column(0).to_pylist():
                        # A line each; \n within an id is written so that no other id is written alike.
                        line = each.encode().replace(b"\\", b"\\\\").replace(b"\n", b"\\n")
                        streams[zlib.crc32(line) % len(streams)].write(line + b"\n")


def _repeated(pile: Path) -> Iterator[tuple[str, int]]:
    with open(pile, "rb") as stream:
        counts = Counter(stream)
    for line, count in counts.items():
        if count > 1:
            parts = line[:-1].split(b"\\\\")
            yield b"\\".join(part.replace(b"\\n", b"\n") for part in parts).decode(), count
