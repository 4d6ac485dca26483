"""How long a candidate takes, in rounds that candidates take in turns."""

from __future__ import annotations

import statistics
import time

import numpy as np

from pipeline.text.linear import LinearPart
from training.gate.verdict import Cost
from training.gate.worker import Worker

SINGLE_TEXTS, BATCHES_OF_32 = 16, 2


class Timing:
    """Times a candidate on its first texts, in batches of 1 and of 32.

    Args:
        rows: token ids of all texts, int64 [length] each.
        texts: the first of them, normalised, at least as many as are timed.
        linear: the candidate's linear part, whose time counts, too.
    """

    def __init__(self, rows: list[np.ndarray], texts: list[str], linear: LinearPart | None) -> None:
        timed = {1: rows[:SINGLE_TEXTS], 32: rows[: 32 * BATCHES_OF_32]}
        self._batches = {
            size: [slice(start, start + size) for start in range(0, len(some), size)] for size, some in timed.items()
        }
        self._rows, self._texts, self._linear = rows, texts, linear
        self._seconds: dict[int, list[float]] = {1: [], 32: []}

    def take(self, worker: Worker) -> None:
        """One round."""
        for size, batches in self._batches.items():
            rows = [self._rows[batch] for batch in batches]
            seconds = worker.seconds(rows)
            if self._linear:
                started = time.perf_counter()
                for batch in batches:
                    self._linear.logits(self._texts[batch])
                seconds += time.perf_counter() - started
            self._seconds[size].append(seconds / sum(map(len, rows)))

    def cost(self, resident_bytes: int, file_bytes: int) -> Cost:
        """The median of the rounds."""
        single, many = (1000 * statistics.median(self._seconds[size]) for size in (1, 32))
        return Cost(single, many, resident_bytes, file_bytes)
