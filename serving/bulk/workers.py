"""Worker processes: each loads the bundle once and answers one shard after another; one that is killed is replaced."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import signal
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from pipeline.errors import NO_ROOM, ClassifierError, EnvironmentFault
from pipeline.files.bundle import Bundle
from serving.bulk.options import BulkOptions
from serving.bulk.scoring import Part, Scorer, Tell, score_shard
from serving.bulk.shards import Shard
from serving.bulk.sources import SourceError
from serving.process.guard import PR_SET_PDEATHSIG

MOST_TRIES = 3
"""Of a shard whose worker is killed, or whose remote file cannot be read; and of workers that end before they begin."""
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
READY, TEXTS, CAME_TO = range(3)
"""What a worker tells: that it has loaded the bundle, texts that it has answered just now, or how a shard ended."""
CameTo = Part | str | ClassifierError
"""A shard's part; or why it cannot be read; or what stops the run."""


@dataclass(frozen=True)
class Told:
    """What workers have come to.

    Attributes:
        shard: the one that is spoken of.
        texts: answered just now, while a shard is under way.
        part: what became of the shard, once it is done.
        reason: why the shard is given up.
        draft: the stem of its files.
        killed: whether it is given up because its workers were killed.
    """

    shard: Shard
    texts: int = 0
    part: Part | None = None
    draft: Path | None = None
    reason: str = ""
    killed: bool = False


class Answering:
    """What a worker does: it loads the bundle once, and answers shards.

    Args:
        bundle: identity that it has to find.
    """

    def __init__(self, options: BulkOptions, bundle: str) -> None:
        self._options, self._scorer = options, self._loaded(options, bundle)

    def answer(self, shard: Shard, draft: Path, tell: Tell = lambda texts: None) -> CameTo:
        """Answer a shard; nothing is raised, so that processes and clusters hand it on alike."""
        if isinstance(self._scorer, ClassifierError):
            return self._scorer
        try:
            return score_shard(shard, self._scorer, self._options, draft, tell)
        except SourceError as error:
            return str(error)
        except ClassifierError as error:
            return error
        except BrokenPipeError:
            raise
        except OSError as error:
            hint = "; make room, the same command goes on then" if error.errno in NO_ROOM else ""
            return EnvironmentFault(f"{self._options.output_dir}: {error.strerror or error}{hint}")

    def fault(self) -> ClassifierError | None:
        """Why it can answer none."""
        return self._scorer if isinstance(self._scorer, ClassifierError) else None

    @staticmethod
    def _loaded(options: BulkOptions, identity: str) -> Scorer | ClassifierError:
        try:
            bundle = Bundle(options.bundle)
            if bundle.identity != identity:
                return ClassifierError(f"{options.bundle} changed while it was used; begin again")
            return Scorer(bundle, options)
        except EnvironmentFault as fault:
            return fault
        except ClassifierError as error:
            return ClassifierError(str(error))


class _Worker:
    """A process, and the shard that it is at."""

    def __init__(self, options: BulkOptions, bundle: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.shard: Shard | None = None
        self.draft: Path | None = None
        self.ready = False
        self.process: BaseProcess = context.Process(
            target=_work, args=(other, options, bundle, os.getpid()), daemon=True
        )
        with _environment(options.threads):
            self.process.start()
        other.close()

    def give(self, shard: Shard, draft: Path) -> None:
        self.shard, self.draft = shard, draft
        with contextlib.suppress(OSError):  # it was killed: the end of its connection says so next
            self.connection.send((shard, draft))

    def end(self) -> None:
        self.connection.close()
        self.process.kill()
        self.process.join()


def score_shards(
    shards: Sequence[Shard], options: BulkOptions, bundle: str, draft: Callable[[Shard, int], Path]
) -> Generator[Told, None, None]:
    """Answer shards in worker processes, in any order; all workers are gone when the iterator is closed.

    Args:
        bundle: identity that the workers have to find.
        draft: the stem of a shard's files, at the try of this number from 0.

    Raises:
        EnvironmentFault: there is no room for drafts, or workers end before they begin.
        ClassifierError: as `Scorer` and `score_shard` do.
    """
    left, tries, starts = deque(shards), Counter[str](), 0
    workers: list[_Worker] = []
    try:
        workers += [_Worker(options, bundle) for _ in range(min(options.workers, len(shards)))]
        while left or any(worker.shard for worker in workers):
            readable = connection.wait([worker.connection for worker in workers])
            for worker in [worker for worker in workers if worker.connection in readable]:
                try:
                    kind, value = worker.connection.recv()
                except (EOFError, OSError):
                    worker.process.join()
                    starts = starts + 1 if not worker.ready else 0
                    if starts == MOST_TRIES:
                        raise EnvironmentFault(f"workers end before they begin: {_end(worker)}") from None
                    yield from _tried(worker, f"its worker {_end(worker)}", True, tries, left)
                    workers.remove(worker)
                    worker.end()
                    if left:
                        workers.append(_Worker(options, bundle))
                    continue
                yield from _heard(worker, kind, value, tries, left)
                if worker.ready and worker.shard is None and left:
                    worker.give(shard := left.popleft(), draft(shard, tries[shard.name]))
    finally:
        for worker in workers:
            worker.end()


def _heard(worker: _Worker, kind: int, value: Any, tries: Counter[str], left: deque[Shard]) -> Iterator[Told]:
    """What is to be told of a worker's word; it is without a shard where it has done with it. Raises what stops all."""
    if kind == READY:
        worker.ready = True
        return
    shard = worker.shard
    assert shard
    if isinstance(value, ClassifierError):
        raise value
    if kind == TEXTS:
        yield Told(shard, texts=value)
    elif isinstance(value, Part):
        worker.shard = None
        yield Told(shard, part=value, draft=worker.draft)
    elif shard.source.local:
        worker.shard = None
        yield Told(shard, reason=value)
    else:
        yield from _tried(worker, value, False, tries, left)


def _tried(worker: _Worker, reason: str, killed: bool, tries: Counter[str], left: deque[Shard]) -> Iterator[Told]:
    """Let a worker's shard be tried again, or give it up."""
    shard, worker.shard = worker.shard, None
    if shard is None:
        return
    tries[shard.name] += 1
    if tries[shard.name] < MOST_TRIES:
        left.append(shard)
    else:
        yield Told(shard, reason=f"{shard.name}: {reason}, {MOST_TRIES} times", killed=killed)


def _end(worker: _Worker) -> str:
    code = worker.process.exitcode or 0
    if code == -signal.SIGKILL:
        return "was killed (SIGKILL), perhaps for want of memory"
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"left with status {code}"


@contextlib.contextmanager
def _environment(threads: int) -> Iterator[None]:
    """What libraries read, once, of how many threads to take."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _work(driver: connection.Connection, options: BulkOptions, identity: str, parent: int) -> None:
    """A worker's life: it ends with its driver, whatever ends that."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return
    with contextlib.suppress(EOFError, BrokenPipeError):
        answering = Answering(options, identity)
        driver.send((READY, None))
        while True:
            shard, draft = driver.recv()
            driver.send((CAME_TO, answering.answer(shard, draft, lambda texts: driver.send((TEXTS, texts)))))
