"""What a run would take, from some rows that are scored for it."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.files.bundle import Bundle
from pipeline.output import counted
from serving.bulk.options import PARQUET, BulkOptions
from serving.bulk.rows import Row, read_rows
from serving.bulk.scoring import Scorer
from serving.bulk.shards import Shard
from serving.bulk.sources import Meter

SAMPLED_SHARDS, SAMPLED_ROWS, READ_BYTES = 8, 256, 4 << 20
"""Shards that are looked at, spread over all, rows of each that are scored, and bytes that are read to count rows."""


@dataclass(frozen=True)
class Estimate:
    """What was measured, and what it comes to.

    Attributes:
        shards: of the run.
        sampled: rows that were scored.
        rows, bytes: of the answers, about.
        texts_a_second: of one process.
        processes: among which the work is shared.
    """

    shards: int
    sampled: int
    rows: int
    bytes: int
    texts_a_second: float
    processes: int

    def __str__(self) -> str:
        seconds = self.rows / max(self.texts_a_second, 1e-9) / max(1, min(self.processes, self.shards))
        return (
            f"{counted(self.shards, 'shard')}, about {counted(self.rows, 'text')}\n"
            f"{self.sampled:,} of them, scored now: {self.texts_a_second:,.0f} a second in one process\n"
            f"processes: {self.processes:,}; if each is as fast, all takes about {_duration(seconds)}\n"
            f"the answers take about {self.bytes / 1e6:,.1f} MB"
        )


def estimate(shards: Sequence[Shard], bundle: Bundle, options: BulkOptions) -> Estimate:
    """Score some rows here and reckon from them; raises as `Scorer` and `read_rows` do."""
    places = sorted({len(shards) * number // SAMPLED_SHARDS for number in range(SAMPLED_SHARDS)})
    looks = [_Look(shards[place], options) for place in places if shards]
    scorer = Scorer(bundle, options)
    batches = [look.rows for look in looks if look.rows]
    for rows in batches[:1]:
        scorer.table(rows)  # the first run allocates memory and starts threads
    started = time.perf_counter()
    tables = [scorer.table(rows) for rows in batches]
    seconds = time.perf_counter() - started
    scored, expected = sum(map(len, tables)), _rows(shards, looks)
    size = round(_size(tables) * expected / scored) if scored else 0
    return Estimate(len(shards), scored, expected, size, scored / max(seconds, 1e-9), options.workers)


class _Look:
    """The beginning of a shard.

    Attributes:
        rows: some that can be answered.
        read, bytes: how many can be that were read, and the bytes of the file that they took.
    """

    def __init__(self, shard: Shard, options: BulkOptions) -> None:
        self.rows, self.read, self.bytes = list[Row](), 0, shard.weight
        meter = Meter()
        for row in read_rows(shard, options, meter):
            self.read += not row.fault
            if not row.fault and len(self.rows) < SAMPLED_ROWS:
                self.rows.append(row)
            elif (size := _reached(shard, row, meter)) > READ_BYTES:
                self.bytes = min(size, shard.weight)
                break


def _reached(shard: Shard, row: Row, meter: Meter) -> int:
    """Bytes of the file that a shard took up to a row, about."""
    if shard.source.format != PARQUET:
        return meter.bytes - shard.start
    done = int(row.place.rpartition(":")[2]) - shard.start
    return round(shard.weight * done / (shard.end - shard.start))


def _rows(shards: Sequence[Shard], looks: Sequence[_Look]) -> int:
    """How many rows there are to be answered, about, as dense in all shards as where it was looked."""
    size = sum(look.bytes for look in looks)
    return round(sum(shard.weight for shard in shards) * sum(look.read for look in looks) / size) if size else 0


def _size(tables: Sequence[pa.RecordBatch]) -> int:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_batches(tables), sink, compression="zstd")
    return sink.getvalue().size


def _duration(seconds: float) -> str:
    unit, name = next(
        (unit, name)
        for limit, unit, name in ((120, 1, "seconds"), (7200, 60, "minutes"), (math.inf, 3600, "hours"))
        if seconds < limit
    )
    return f"{seconds / unit:,.1f} {name}"
