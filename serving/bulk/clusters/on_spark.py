"""The same work on a Spark cluster: a job of one task for each shard. Needs `.venv-spark` (`make setup-spark`)."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline.errors import ClassifierError, EnvironmentFault
from serving.bulk.clusters.tasks import LOOPBACK, START_SECONDS, come_to, environment, no_room
from serving.bulk.options import BulkOptions
from serving.bulk.shards import Shard
from serving.bulk.workers import Answering, Told

NO_JAVA = (
    "Spark needs Java 17 or 21, and neither PATH nor JAVA_HOME leads to one; install it, on Debian and Ubuntu with "
    "apt-get install openjdk-17-jre-headless"
)
NOT_INSTALLED = "Spark is not installed here; make setup-spark, then .venv-spark/bin/python -m ..."


class _Lost(str):
    """Why a task came to nothing."""


def score_shards(
    shards: Sequence[Shard], options: BulkOptions, bundle: str, draft: Callable[[Shard, int], Path]
) -> Generator[Told, None, None]:
    """As `serving.bulk.workers.score_shards`, on the cluster at `--address`, or in a Spark that is started here.

    Raises:
        EnvironmentFault: Spark or Java is not installed, the cluster cannot be used, or it ends.
        ClassifierError: as `serving.bulk.workers.score_shards` does.
    """
    left, tries, busy = deque(shards), Counter[str](), dict[Future[Any], Shard]()
    at_once = max(1, min(options.workers, len(shards)))
    with ThreadPoolExecutor(at_once) as pool, _spark(options) as run:
        first = pool.submit(run, _fault, options, bundle)
        if not wait([first], START_SECONDS).done:
            raise EnvironmentFault(no_room(options))
        if isinstance(fault := first.result(), _Lost):
            raise EnvironmentFault(f"no task could begin: {fault}")
        if fault:
            raise fault
        while left or busy:
            while left and len(busy) < at_once:
                shard = left.popleft()
                place = draft(shard, tries[shard.name])
                busy[pool.submit(run, _answered, options, bundle, shard, place)] = shard
            for done in wait(busy, return_when=FIRST_COMPLETED).done:
                shard, result = busy.pop(done), done.result()
                lost = isinstance(result, _Lost)
                value, own = (f"its task was lost ({result})", None) if lost else result
                if isinstance(value, ClassifierError):
                    raise value
                yield from come_to(shard, own, value, lost, tries, left)


@lru_cache(1)
def _answering(options: BulkOptions, bundle: str) -> Answering:
    """What a process of an executor keeps from task to task."""
    return Answering(options, bundle)


def _fault(options: BulkOptions, bundle: str) -> ClassifierError | None:
    return _answering(options, bundle).fault()


def _answered(options: BulkOptions, bundle: str, shard: Shard, draft: Path) -> tuple[Any, Path]:
    """What a shard came to, and the stem of its files, which no other attempt has: Spark may begin one by itself."""
    from pyspark import TaskContext

    task = TaskContext.get()
    assert task
    own = draft.with_name(f"{draft.name}{task.taskAttemptId()}")
    return _answering(options, bundle).answer(shard, own), own


@contextlib.contextmanager
def _spark(options: BulkOptions) -> Iterator[Callable[..., Any]]:
    """What runs a function as a job of one task; of its own, Spark listens on loopback alone."""
    try:
        from py4j.protocol import Py4JError, Py4JJavaError
        from pyspark import SparkConf, SparkContext
        from pyspark.errors import PySparkException
    except ImportError:
        raise EnvironmentFault(NOT_INSTALLED) from None
    home = os.environ.get("JAVA_HOME")
    if not shutil.which("java", path=f"{home}/bin" if home else None):
        raise EnvironmentFault(NO_JAVA)
    settings = _settings(options)
    os.environ["PYSPARK_PYTHON"] = sys.executable
    if settings["spark.master"].startswith("local"):
        os.environ["SPARK_LOCAL_IP"] = LOOPBACK
    try:
        context = SparkContext(conf=SparkConf().setAll(list(settings.items())))
    except (Py4JError, PySparkException, ValueError, OSError) as error:
        raise EnvironmentFault(f"Spark at {settings['spark.master']}: {_reason(error)}") from error

    def run(function: Callable[..., Any], *given: Any) -> Any:
        try:
            return context.parallelize([given], 1).map(lambda each: function(*each)).collect()[0]
        except Py4JJavaError as error:
            reason = _reason(error)
            if "SparkContext" in reason:  # it was shut down
                raise EnvironmentFault(f"Spark ended: {reason}; the same command goes on") from error
            return _Lost(reason)
        except (Py4JError, OSError) as error:
            raise EnvironmentFault(f"Spark ended: {error}; the same command goes on") from error

    try:
        yield run
    finally:
        context.stop()


def _settings(options: BulkOptions) -> dict[str, str]:
    """Spark's own; a task is tried again here, never beside itself, and each has as many cores as threads."""
    cores, threads = str(options.workers * options.threads), str(options.threads)
    return {
        "spark.master": options.address or f"local[{cores}]",
        "spark.app.name": "serving.bulk",
        "spark.authenticate": "true",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "FATAL",
        "spark.dynamicAllocation.enabled": "false",
        "spark.speculation": "false",
        "spark.task.maxFailures": "1",
        "spark.task.cpus": threads,
        "spark.executor.cores": threads,
        "spark.executor.instances": str(options.workers),
        "spark.cores.max": cores,
        **{f"spark.executorEnv.{name}": value for name, value in environment(options).items()},
        **dict(each.split("=", 1) for each in options.conf),
    }


def _reason(error: Exception) -> str:
    """The last line of what Spark says before it lists the places in its code."""
    exception = getattr(error, "java_exception", None)
    said = str(exception.getMessage() if exception else error).partition("\n\tat")[0].replace("Driver stacktrace:", "")
    return ([line.strip() for line in said.splitlines() if line.strip()] or [type(error).__name__])[-1]
