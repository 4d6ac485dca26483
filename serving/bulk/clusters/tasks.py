"""What clusters have in common: what their processes are told, and what becomes of a shard that one of them had."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from pathlib import Path

from serving.bulk.options import BulkOptions
from serving.bulk.scoring import Part
from serving.bulk.shards import Shard
from serving.bulk.workers import MOST_TRIES, THREAD_VARIABLES, CameTo, Told

PROJECT = Path(__file__).resolve().parents[3]
LOOPBACK = "127.0.0.1"
START_SECONDS = 300
"""After which a cluster on which nothing has begun has no room."""


def environment(options: BulkOptions) -> Mapping[str, str]:
    """Variables of the processes that compute."""
    return {"PYTHONPATH": str(PROJECT), **dict.fromkeys(THREAD_VARIABLES, str(options.threads))}


def no_room(options: BulkOptions) -> str:
    return f"nothing could begin in {START_SECONDS} s; does the cluster have {options.threads} free cores?"


def come_to(
    shard: Shard, draft: Path | None, value: CameTo, lost: bool, tries: Counter[str], left: deque[Shard]
) -> Iterator[Told]:
    """What is to be told of a shard; it may be tried again.

    Args:
        lost: whether the process that had it is gone; `value` is the reason then.
    """
    tries[shard.name] += 1
    if isinstance(value, Part):
        yield Told(shard, texts=value.rows, part=value, draft=draft)
    elif tries[shard.name] < MOST_TRIES and (lost or not shard.source.local):
        left.append(shard)
    else:
        yield Told(shard, reason=f"{shard.name}: {value}" if lost else str(value), killed=lost)
