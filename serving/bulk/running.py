"""One run: look, plan, answer what is left, count, and say how it went."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from tqdm import tqdm

from pipeline.errors import ClassifierError, InputError
from pipeline.files.bundle import Bundle
from pipeline.output import counted
from serving.bulk import workers
from serving.bulk.clusters import on_ray, on_spark
from serving.bulk.duplicates import find_duplicates
from serving.bulk.estimate import estimate
from serving.bulk.ledger import DRAFTS, DUPLICATES_FILE, PARTS, Ledger
from serving.bulk.options import JOB, PROCESSES, RAY, SPARK, BulkOptions
from serving.bulk.scoring import chosen_decoder
from serving.bulk.shards import Shard, plan
from serving.bulk.sources import find_sources, say
from serving.bulk.workers import Told

SECONDS_BETWEEN_LINES = 60.0
"""Where there is no terminal for a bar."""
MOST_TOLD = 10
ENGINES = {
    PROCESSES: workers.score_shards,
    JOB: workers.score_shards,
    RAY: on_ray.score_shards,
    SPARK: on_spark.score_shards,
}


@dataclass(frozen=True)
class Summary:
    """What there is once all shards are done.

    Attributes:
        bundle: its identity.
        shards, rows, bad_rows, truncated: counts; `rows` are those with an answer.
        bytes: of all parts.
        duplicate_ids, duplicate_rows: ids that stand in several rows, and how many these are; None where ids are made.
    """

    bundle: str
    shards: int
    rows: int
    bad_rows: int
    truncated: int
    bytes: int
    duplicate_ids: int | None
    duplicate_rows: int | None


def score(options: BulkOptions) -> Summary | None:
    """Score what `options` name, as far as it is not done.

    Returns:
        The summary; None while shards are left to other pods or to a later run, or nothing is to be written.

    Raises:
        InputError, EnvironmentFault, BundleError: something given cannot be used; or, once all others are done, shards
            that cannot be read.
        ClassifierError: the model's scores are not finite; or, once all others are done, shards whose workers were
            killed again and again.
    """
    bundle = Bundle(options.bundle)
    chosen_decoder(bundle, options)
    shards = plan(find_sources(options), options, bundle.hierarchy)
    if options.dry_run:
        print(estimate(shards, bundle, options))
        return None
    with Ledger(options, bundle.identity, shards) as ledger:
        if options.finish:
            _check_complete(ledger)
            return _closed(ledger, bundle.identity, options)
        if len(ledger.to_do) < len(ledger.own):
            done = len(ledger.own) - len(ledger.to_do)
            say(f"{done:,} of {counted(len(ledger.own), 'shard')} done; going on")
        _raise_failed(_answer(ledger, bundle.identity, options))
        if ledger.to_do:
            say(f"{counted(len(ledger.to_do), 'shard')} left; the same command goes on")
            return None
        return None if options.pod is not None else _closed(ledger, bundle.identity, options)


def _answer(ledger: Ledger, bundle: str, options: BulkOptions) -> list[Told]:
    """Answer what is to do, up to the limit, and commit the parts; the shards that are given up, beyond the limit."""
    shards, failed = ledger.to_do, list[Told]()
    limit = len(shards) if options.limit is None else min(options.limit, len(shards))
    at_once = replace(options, processes=max(1, min(options.workers, limit)))
    with (
        _Progress(shards[:limit]) as progress,
        contextlib.closing(ENGINES[options.engine](shards, at_once, bundle, ledger.draft)) as answered,
    ):
        for told in answered:
            progress.add(told)
            if told.part and told.draft:
                ledger.commit(told.shard, told.part, told.draft)
                limit -= 1
                if not limit:
                    break
            elif told.reason:
                failed.append(told)
    return failed


def _raise_failed(failed: Sequence[Told]) -> None:
    if not failed:
        return
    lines = [told.reason for told in failed[:MOST_TOLD]]
    more = f"\nand {len(failed) - MOST_TOLD:,} more" if len(failed) > MOST_TOLD else ""
    message = f"{counted(len(failed), 'shard')} left out; the same command tries again:\n" + "\n".join(lines) + more
    raise (ClassifierError if any(told.killed for told in failed) else InputError)(message)


def _check_complete(ledger: Ledger) -> None:
    if left := ledger.to_do:
        raise ClassifierError(
            f"{len(left):,} of {counted(len(ledger.own), 'shard')} not done, {left[0].name} first; run the job again"
        )


def _closed(ledger: Ledger, bundle: str, options: BulkOptions) -> Summary:
    entries = list(ledger.entries.values())
    rows, bad_rows, truncated, size = (
        sum(getattr(entry, name) for entry in entries) for name in ("rows", "bad_rows", "truncated", "size")
    )
    doubled = None
    if options.id_column is not None:
        parts = [ledger.folder / PARTS / f"{entry.stem}.parquet" for entry in entries]
        doubled = find_duplicates(parts, rows, ledger.folder / DRAFTS, ledger.folder / DUPLICATES_FILE)
    summary = Summary(bundle, len(entries), rows, bad_rows, truncated, size, *(doubled or (None, None)))
    ledger.close(asdict(summary))
    say(f"{counted(rows, 'row')} in {counted(len(entries), 'part')}, {size:,} bytes, in {ledger.folder / PARTS}")
    if bad_rows:
        say(f"{counted(bad_rows, 'row')} could not be answered: {ledger.folder / 'bad'} says where and why")
    if truncated:
        say(f"{counted(truncated, 'text')} were longer than the model reads, and were read in part")
    if doubled and doubled.ids:
        say(
            f"{counted(doubled.ids, 'id')} {'stands' if doubled.ids == 1 else 'stand'} in several rows, "
            f"{doubled.rows:,} together: "
            f"{ledger.folder / DUPLICATES_FILE}"
        )
    return summary


class _Progress:
    """A bar on a terminal, which counts bytes of the input; elsewhere a line from time to time."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self._shards, self._done, self._texts = len(shards), 0, 0
        self._weight, self._all = 0, sum(shard.weight for shard in shards)
        self._started = self._said = time.monotonic()
        self._bar = tqdm(total=self._all, unit="B", unit_scale=True, disable=not sys.stderr.isatty() or not shards)

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()
        if self._texts:
            say(f"{counted(self._texts, 'text')} in {time.monotonic() - self._started:.1f} s, {self._speed()}")

    def add(self, told: Told) -> None:
        self._texts += told.texts
        if told.part:
            self._done += 1
            self._weight += told.shard.weight
            self._bar.update(told.shard.weight)
        self._bar.set_postfix_str(f"{self._done:,} of {self._shards:,} shards, {self._speed()}")
        now = time.monotonic()
        if self._bar.disable and now - self._said > SECONDS_BETWEEN_LINES:
            self._said = now
            left = (now - self._started) * (self._all - self._weight) / self._weight if self._weight else None
            time_left = f", about {left / 60:.0f} minutes left" if left is not None else ""
            say(f"{self._done:,} of {counted(self._shards, 'shard')}, {self._speed()}{time_left}")

    def _speed(self) -> str:
        return f"{self._texts / max(time.monotonic() - self._started, 1e-9):,.0f} texts a second"
