"""Reckon how many machines so many texts take, for how long, and what they cost, in bulk and served.

python -m serving.bulk.estimate --texts_per_day 1e8 --rate 150 --cores_per_machine 16 --price 0.8
python -m serving.bulk.estimate --texts 1e9 --bundle export --input data/data.txt --hours 12

The rate, texts a second and core, is given, or measured here with some rows of a file.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.command import run
from pipeline.errors import InputError
from pipeline.files.bundle import Bundle
from pipeline.options import option, parse
from pipeline.output import counted
from serving.bulk.options import PARQUET, AnsweringOptions, BulkOptions, ReadingOptions
from serving.bulk.rows import Row, read_rows
from serving.bulk.scoring import Scorer
from serving.bulk.shards import Shard, plan
from serving.bulk.sources import Meter, find_sources

DAY_HOURS, HOUR_SECONDS = 24, 3600
SAMPLED_SHARDS, SAMPLED_ROWS, READ_BYTES = 8, 256, 4 << 20
"""Shards that are looked at, spread over all, rows of each that are scored, and bytes that are read to count rows."""


@dataclass(frozen=True)
class EstimateOptions(ReadingOptions, AnsweringOptions):
    """How many texts there are, how fast they are scored, and on what machines."""

    texts_per_day: float | None = option(None, "texts of each day", at_least=1, at_most=1e15)
    texts: float | None = option(None, "texts of one run, instead of each day's", at_least=1, at_most=1e15)
    rate: float | None = option(
        None, "texts a second and core (measured, with --bundle and --input)", at_least=0.001, at_most=1e9
    )
    bundle: Path | None = option(None, "folder of the bundle that is measured")
    input: tuple[str, ...] = option((), "files of which some rows are scored to measure the rate")
    threads: int = option(1, "processor threads that it is measured on", at_least=1, at_most=1024)
    hours: float = option(24, "hours within which they are to be scored in bulk", at_least=0.01, at_most=1e6)
    cores_per_machine: int = option(4, "cores of a machine", at_least=1, at_most=1 << 20)
    price: float | None = option(None, "of a machine and hour", at_least=0, at_most=1e9)
    bulk_utilisation: float = option(
        0.9,
        "share of the time in which cores compute, in bulk, and do not read, start or wait",
        at_least=0.01,
        at_most=1,
    )
    utilisation: float = option(
        0.6, "share of the time in which cores compute, served, at the peak", at_least=0.01, below=1
    )
    peak_factor: float = option(3, "texts a second at the peak, over the day's mean", at_least=1, at_most=1e6)
    spare: float = option(0.2, "cores that are added for machines that fail, as a share", at_least=0, at_most=100)
    json: bool = option(False, "print JSON")

    def check(self) -> None:
        super().check()
        if (self.texts is None) == (self.texts_per_day is None):
            raise InputError("give one of --texts_per_day and --texts")
        if self.texts_per_day is not None and self.hours > DAY_HOURS:
            raise InputError(f"--hours is {self.hours:g}: a day's texts have to be scored within {DAY_HOURS}")
        measured = self.bundle is not None and bool(self.input)
        if measured == (self.rate is not None) or (self.bundle is None) == bool(self.input):
            raise InputError("give --rate, or --bundle and --input to measure it")


@dataclass(frozen=True)
class Need:
    """What so many texts take.

    Attributes:
        cores: that are busy for as long as is allowed, or at the peak, without spare ones.
        machines: whole ones, with the spare share.
        hours: that they run, of one day where they serve.
        cost: of these hours, in the currency of the price; None without a price.
    """

    cores: float
    machines: int
    hours: float
    cost: float | None


@dataclass(frozen=True)
class Machines:
    """`rate` is in texts a second and core; `serving` is None where the texts are not of each day."""

    rate: float
    bulk: Need
    serving: Need | None

    def __str__(self) -> str:
        columns = {"in bulk": self.bulk, "served": self.serving}
        shown = {name: need for name, need in columns.items() if need}
        lines = [("", *shown)]
        for name, digits in (("cores", 1), ("machines", 0), ("hours", 1), ("cost", 2)):
            values = [getattr(need, name) for need in shown.values()]
            lines += [] if None in values else [(name, *(f"{value:,.{digits}f}" for value in values))]
        table = [f"{name:<8}" + "".join(f"{value:>18}" for value in values) for name, *values in lines]
        return "\n".join([f"{self.rate:,.1f} texts a second and core", *table])


def estimate_machines(options: EstimateOptions) -> Machines:
    """Reckon; raises InputError where the rate cannot be measured, and as `estimate` does."""
    rate = _measured(options) if options.rate is None else options.rate
    texts = options.texts or options.texts_per_day or 0
    in_bulk = rate * options.bulk_utilisation * HOUR_SECONDS  # texts an hour and core
    cores = texts / in_bulk / options.hours
    machines = _machines(cores, options)
    bulk = _need(cores, machines, texts / in_bulk / machines / options.cores_per_machine, options)
    if options.texts_per_day is None:
        return Machines(rate, bulk, None)
    at_peak = texts / DAY_HOURS / HOUR_SECONDS * options.peak_factor
    cores = at_peak / rate / options.utilisation
    return Machines(rate, bulk, _need(cores, _machines(cores, options), DAY_HOURS, options))


def _machines(cores: float, options: EstimateOptions) -> int:
    return math.ceil(cores * (1 + options.spare) / options.cores_per_machine)


def _need(cores: float, machines: int, hours: float, options: EstimateOptions) -> Need:
    return Need(cores, machines, hours, None if options.price is None else machines * hours * options.price)


def _measured(options: EstimateOptions) -> float:
    assert options.bundle
    bundle, shared = Bundle(options.bundle), {**ReadingOptions.__dataclass_fields__}
    shared |= AnsweringOptions.__dataclass_fields__
    given = BulkOptions(
        input=options.input,
        bundle=options.bundle,
        output_dir=Path(os.devnull),
        threads=options.threads,
        **{name: getattr(options, name) for name in shared},
    )
    found = estimate(plan(find_sources(given), given, bundle.hierarchy), bundle, given)
    if not found.sampled:
        raise InputError(f"--input {options.input[0]} has no text that can be scored; give another file")
    return found.texts_a_second / options.threads


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


def parse_args(argv: Sequence[str] | None) -> EstimateOptions:
    return parse(EstimateOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    found = estimate_machines(options)
    print(json.dumps(asdict(found)) if options.json else found)


if __name__ == "__main__":
    run(main)
