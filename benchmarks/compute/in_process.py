"""The offline predictor in a process of its own, so that it can take turns with servers."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from pipeline.predictor import Predictor

_predictor: Predictor
"""Of the process that `_load` made it in."""


class InProcess:
    """A `pipeline.predictor.Predictor`; to be used as a context manager.

    Args:
        bundle: its folder.
        runtime, precision, threads: as for `Predictor`, whose errors any first use raises.
    """

    def __init__(self, bundle: Path, runtime: str, precision: str, threads: int | None) -> None:
        self._pool = fresh_process()
        self._pool.submit(_load, bundle, runtime, precision, threads).result()

    def __enter__(self) -> InProcess:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown()

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """float32 [len(texts), labels]."""
        return self._pool.submit(_logits, texts).result()

    def seconds(self, texts: Sequence[str], size: int) -> list[float]:
        """Time of each call that predicts `size` texts, until all have been predicted."""
        return self._pool.submit(_seconds, texts, size).result()


def fresh_process() -> ProcessPoolExecutor:
    """One process that starts anew, not as a copy with its libraries' threads in a state that nobody knows.

    It leaves an interrupt to this process.
    """
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_IGN))


def _load(bundle: Path, runtime: str, precision: str, threads: int | None) -> None:
    global _predictor  # noqa: PLW0603
    _predictor = Predictor(bundle, runtime, precision, threads)


def _logits(texts: Sequence[str]) -> np.ndarray:
    return _predictor.logits(texts)


def _seconds(texts: Sequence[str], size: int) -> list[float]:
    seconds = []
    for start in range(0, len(texts), size):
        started = time.perf_counter()
        _predictor.predict(texts[start : start + size])
        seconds.append(time.perf_counter() - started)
    return seconds
