"""A process of its own that loads one candidate, so that its memory is its own and candidates can take turns.

Nothing here imports paddle: what is measured is what a server would run.
"""

from __future__ import annotations

import multiprocessing
import resource
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.compute.batching import TOKEN_BUDGET
from pipeline.compute.engine import Engine
from pipeline.errors import ClassifierError, EnvironmentFault
from pipeline.files.bundle import Bundle

PAUSE_SECONDS = 0.1
"""Before a turn: the threads of a runtime go on looking for work for a while when a turn is over."""


class Worker:
    """A candidate in a process of its own; to be used as a context manager.

    Args:
        bundle: folder of its bundle.
        runtime, precision, threads, device: as for `pipeline.compute.runtimes.create_runtime`.

    Raises:
        ClassifierError: on any use, where the candidate does not load or run; it says why.
        EnvironmentFault: where this machine lacks the runtime or the precision.
    """

    def __init__(self, bundle: Path, runtime: str, precision: str, threads: int | None, device: str = "cpu") -> None:
        self._name = f"{bundle.name} in {runtime} {precision}"
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        arguments = (theirs, str(bundle), runtime, precision, threads, device)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def logits(self, rows: list[np.ndarray]) -> np.ndarray:
        """float32 [rows, labels] of token ids, int64 [length] each."""
        return self._ask("logits", rows)

    def seconds(self, batches: list[list[np.ndarray]], token_budget: int = TOKEN_BUDGET) -> float:
        """Time for running batches of rows one after the other, each cut as `Engine` does."""
        return self._ask("seconds", (batches, token_budget))

    def resident_bytes(self) -> int:
        """Memory that the process holds."""
        return self._ask("resident", None)

    def _ask(self, what: str, value: Any) -> Any:
        try:
            self._connection.send((what, value))
            kind, answer = self._connection.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError) as error:
            self._process.join(10)
            status = self._process.exitcode
            raise ClassifierError(f"the process of {self._name} ended with exit status {status}") from error
        if kind == "answer":
            return answer
        raise {"unavailable": EnvironmentFault}.get(kind, ClassifierError)(answer)


def _serve(connection: Connection, bundle: str, runtime: str, precision: str, threads: int | None, device: str) -> None:
    """Answer until the other end is closed; a candidate that does not load answers everything with the reason."""
    try:
        engine = Engine(Bundle(bundle), runtime, precision, threads, device=device)
    except ClassifierError as error:
        while _asked(connection):
            connection.send(("unavailable" if isinstance(error, EnvironmentFault) else "fault", str(error)))
        return
    while request := _asked(connection):
        what, value = request
        if what == "logits":
            connection.send(("answer", engine.logits(value)))
        elif what == "seconds":
            batches, engine.token_budget = value
            time.sleep(PAUSE_SECONDS)
            started = time.perf_counter()
            for batch in batches:
                engine.logits(batch)
            connection.send(("answer", time.perf_counter() - started))
        else:
            connection.send(("answer", _resident_bytes()))


def _asked(connection: Connection) -> Any:
    try:
        return connection.recv()
    except EOFError:
        return None


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
