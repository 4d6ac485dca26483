"""Rows of token ids that are longer than the model takes, computed in windows and answered as one.

A row stays whole between the steps of a server. It is cut here, where the model is run: into windows of the model's
length, each with the row's own first and last id, [CLS] and [SEP]. The last window is as short as what is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Callable

import numpy as np

from pipeline.compute.batching import OVERHEAD_TOKENS, TOKEN_BUDGET, iterate_batches
from pipeline.text.encoding import TextEncoder
from pipeline.text.long_texts import MAX, MEAN, window_step

Batches = Iterator[tuple[np.ndarray, np.ndarray]]
"""Row numbers, int [batch], and their logits, float32 [batch, labels]."""


class Pooled:
    """Logits of texts, made from those of their windows as these are computed.

    Args:
        owners: int [windows], ascending: the text of each window; every text has one.
        labels: columns.
        pool: a name of `pipeline.text.long_texts.POOLS`.

    Attributes:
        logits: float32 [texts, labels]; those of a text are right once all of its windows were added.
    """

    def __init__(self, owners: np.ndarray, labels: int, pool: str) -> None:
        self._owners, self._counts, self._mean = owners, np.bincount(owners), pool == MEAN
        self._waiting = self._counts.copy()
        self.logits = np.full((len(self._counts), labels), 0 if self._mean else -np.inf, np.float32)

    def add(self, windows: np.ndarray, logits: np.ndarray) -> np.ndarray:
        """Take logits of windows, float32 [len(windows), labels]; the numbers of the texts that are complete now."""
        owners, combine = self._owners[windows], np.add if self._mean else np.maximum
        for owner, row in zip(owners.tolist(), logits):
            combine(self.logits[owner], row, out=self.logits[owner])
        self._waiting -= np.bincount(owners, minlength=len(self._waiting))
        complete = np.unique(owners)
        complete = complete[self._waiting[complete] == 0]
        if self._mean:
            self.logits[complete] /= self._counts[complete, None].astype(np.float32)
        return complete


@dataclass(frozen=True)
class Windows:
    """How rows are cut and put together again.

    Attributes:
        length: tokens of a window at most, the two special ones included. Rows up to that length stay as they are.
        pool: as for `Pooled`.
    """

    length: int
    pool: str = MAX

    @classmethod
    def of(cls, encoder: TextEncoder) -> Windows:
        """Those of the rows that it gives."""
        return cls(encoder.tokeniser.max_length, encoder.long_texts.pool)

    def split(self, rows: Sequence[np.ndarray]) -> tuple[list[np.ndarray], np.ndarray]:
        """The windows of rows of token ids, int64 [length] each, row by row, and the row number of each, int."""
        step, room = window_step(self.length), self.length - 2
        windows: list[np.ndarray] = []
        owners: list[int] = []
        for number, row in enumerate(rows):
            if len(row) <= self.length:
                windows.append(row)
                owners.append(number)
                continue
            count = 1 + -(-(len(row) - self.length) // step)
            for start in range(1, 1 + count * step, step):
                windows.append(np.concatenate([row[:1], row[start : min(start + room, len(row) - 1)], row[-1:]]))
            owners += [number] * count
        return windows, np.array(owners, np.int64)

    def batches(self, rows: Sequence[np.ndarray], compute: Callable[[Sequence[np.ndarray]], Batches]) -> Batches:
        """Row numbers and logits of rows of any length, each as soon as the last of its windows is computed.

        Args:
            compute: gives the same of rows up to `length`, in any order.
        """
        windows, owners = self.split(rows)
        if len(windows) == len(rows):
            yield from compute(windows)
            return
        pooled: Pooled | None = None
        for numbers, logits in compute(windows):
            pooled = pooled or Pooled(owners, logits.shape[1], self.pool)
            complete = pooled.add(numbers, logits)
            if len(complete):
                yield complete, pooled.logits[complete]

    def pooled_in(
        self,
        pools: Sequence[str],
        rows: Sequence[np.ndarray],
        run: Callable[[np.ndarray, np.ndarray], np.ndarray],
        labels: int,
        token_budget: int = TOKEN_BUDGET,
    ) -> dict[str, np.ndarray]:
        """float32 [len(rows), labels] for each of `pools`, of which one run of the model's batches is enough."""
        windows, owners = self.split(rows)
        tables = {pool: Pooled(owners, labels, pool) for pool in pools}
        for batch in iterate_batches(windows, run, token_budget):
            for table in tables.values():
                table.add(*batch)
        return {pool: table.logits for pool, table in tables.items()}

    def run_in_batches(
        self,
        rows: Sequence[np.ndarray],
        run: Callable[[np.ndarray, np.ndarray], np.ndarray],
        token_budget: int = TOKEN_BUDGET,
        overhead_tokens: int = OVERHEAD_TOKENS,
    ) -> np.ndarray:
        """As `pipeline.compute.batching.run_in_batches`, of rows of any length."""
        results: np.ndarray | None = None
        for numbers, logits in self.batches(
            rows, lambda windows: iterate_batches(windows, run, token_budget, overhead_tokens)
        ):
            if results is None:
                results = np.empty((len(rows), logits.shape[1]), np.float32)
            results[numbers] = logits
        return results if results is not None else np.empty((0, 0), np.float32)
