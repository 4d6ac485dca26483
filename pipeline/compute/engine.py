"""A bundle's graph, loaded in a runtime, for texts of any lengths: they are packed where the graph allows it, and those
that are longer than it takes are computed in windows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from pipeline.compute.batching import TOKEN_BUDGET, iterate_batches
from pipeline.compute.packing import empty_inputs, pack, shapes_to_warm
from pipeline.compute.runtimes import create_runtime
from pipeline.compute.windows import Batches, Windows
from pipeline.files.bundle import Bundle


class Engine:
    """Computes logits with a bundle.

    Args:
        bundle, runtime, precision, threads, device, device_id: as for `pipeline.compute.runtimes.create_runtime`, which
            raises.
        token_budget: tokens, padding included, that one run of the graph takes at most, unless a text is longer.
        max_seq_length: tokens to take at once, if fewer than the model does.
    """

    def __init__(
        self,
        bundle: Bundle,
        runtime: str,
        precision: str = "float32",
        threads: int | None = None,
        token_budget: int = TOKEN_BUDGET,
        device: str = "cpu",
        device_id: int = 0,
        max_seq_length: int | None = None,
    ) -> None:
        self.token_budget = token_budget
        manifest = bundle.manifest
        self._labels = len(bundle.hierarchy)
        self._max_length = min(max_seq_length or manifest.max_seq_length, manifest.max_seq_length)
        self._windows = Windows(self._max_length, manifest.long_texts.pool)
        self._runtime = create_runtime(bundle, runtime, precision, threads, device, device_id)

    def logits(self, texts: Sequence[np.ndarray]) -> np.ndarray:
        """float32 [len(texts), labels] of token ids, int64 [length] each."""
        results = np.empty((len(texts), self._labels), np.float32)
        for numbers, computed in self.batches(texts):
            results[numbers] = computed
        return results

    def batches(self, texts: Sequence[np.ndarray], turns: np.ndarray | None = None) -> Batches:
        """As `logits`, but text numbers and logits as soon as they are computed.

        Args:
            turns: int [texts]; the batches of those with the least are computed first, unless one is cut into windows.
        """
        yield from self._windows.batches(texts, partial(self._compute, turns=turns))

    def _compute(self, rows: Sequence[np.ndarray], turns: np.ndarray | None) -> Batches:
        """Of rows that the model takes at once."""
        if turns is not None and len(turns) != len(rows):
            turns = None
        if self._runtime.run_packed is None:
            yield from iterate_batches(rows, self._runtime.run, self.token_budget, turns=turns)
            return
        for batch in pack(rows, self.token_budget, turns):
            yield batch.texts, self._runtime.run_packed(batch.inputs)[batch.places]

    def warm(self) -> None:
        """Run the shapes that will be used, so that no caller waits for what a runtime prepares at the first."""
        if self._runtime.run_packed is None:
            longest = np.zeros((1, self._max_length), np.int64)
            self._runtime.run(longest, longest)
            return
        for shape in shapes_to_warm(self.token_budget, self._max_length):
            self._runtime.run_packed(empty_inputs(*shape))
