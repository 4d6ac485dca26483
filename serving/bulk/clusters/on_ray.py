"""The same work on a Ray cluster: actors in the place of worker processes. Needs `.venv-ray` (`make setup-ray`)."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import ClassifierError, EnvironmentFault
from serving.bulk.clusters.tasks import LOOPBACK, START_SECONDS, come_to, environment, no_room
from serving.bulk.options import BulkOptions
from serving.bulk.shards import Shard
from serving.bulk.workers import MOST_TRIES, Answering, Told

ON_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""Ray then listens on no other address, on Linux too; otherwise it takes another one for this."""


def score_shards(
    shards: Sequence[Shard], options: BulkOptions, bundle: str, draft: Callable[[Shard, int], Path]
) -> Generator[Told, None, None]:
    """As `serving.bulk.workers.score_shards`, on the cluster at `--address`, or on one that is started for it here.

    Raises:
        EnvironmentFault: Ray is not installed, or the cluster cannot be reached.
        ClassifierError: as `serving.bulk.workers.score_shards` does.
    """
    left, tries, idle = deque(shards), Counter[str](), deque[Any]()
    busy: dict[Any, tuple[Any, Shard | None, Path | None]] = {}
    with _cluster(options) as ray:
        kind = ray.remote(num_cpus=options.threads, max_restarts=0)(Answering)

        def start() -> None:
            """Begin an actor; it gets a shard once it is there, for it may wait for a free processor for ever."""
            actor = kind.remote(options, bundle)
            busy[actor.fault.remote()] = (actor, None, None)

        for _ in range(min(options.workers, len(shards))):
            start()
        while left or any(shard for _, shard, _ in busy.values()):
            at_work = any(shard for _, shard, _ in busy.values())
            answers, _ = ray.wait(list(busy), num_returns=1, timeout=None if at_work else START_SECONDS)
            if not answers:
                raise EnvironmentFault(no_room(options))
            actor, shard, place = busy.pop(answers[0])
            lost = False
            try:
                value = ray.get(answers[0])
                idle.append(actor)
            except ray.exceptions.RayActorError:
                start()
                lost, value = True, "its actor was lost"
                tries[""] += shard is None
            if isinstance(value, ClassifierError):
                raise value
            if tries[""] == MOST_TRIES:
                raise EnvironmentFault("actors end before they begin; Ray's logs say why")
            if shard:
                yield from come_to(shard, place, value, lost, tries, left)
            while left and idle:
                given = left.popleft()
                place = draft(given, tries[given.name])
                actor = idle.popleft()
                busy[actor.answer.remote(given, place)] = (actor, given, place)


@contextlib.contextmanager
def _cluster(options: BulkOptions) -> Iterator[Any]:
    """Ray, connected; of its own it listens on loopback alone, to whoever has its token, and reports nothing."""
    if options.address is None:
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(), **ON_LOOPBACK)
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0")
    try:
        import ray
    except ImportError:
        raise EnvironmentFault("Ray is not installed here; make setup-ray, then .venv-ray/bin/python -m ...") from None
    own = {"num_cpus": options.workers * options.threads, "include_dashboard": False, "_node_ip_address": LOOPBACK}
    try:
        ray.init(
            address=options.address or "local",
            runtime_env={"env_vars": dict(environment(options))},
            log_to_driver=False,
            logging_level="ERROR",
            **({} if options.address else own),
        )
    except Exception as error:  # no more special one is raised where a node takes more than 30 s to start
        raise EnvironmentFault(f"Ray at {options.address or 'this machine'}: {error}") from error
    try:
        yield ray
    finally:
        ray.shutdown()
