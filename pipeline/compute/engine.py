"""A bundle's graph, loaded in a runtime, for texts of any lengths: they are packed where the graph allows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.compute.batching import TOKEN_BUDGET, iterate_batches
from pipeline.compute.packing import empty_inputs, pack, shapes_to_warm
from pipeline.compute.runtimes import create_runtime
from pipeline.files.bundle import Bundle


class Engine:
    """Computes logits with a bundle.

    Args:
        bundle, runtime, precision, threads, device, device_id: as for `pipeline.compute.runtimes.create_runtime`, which
            raises.
        token_budget: tokens, padding included, that one run of the graph takes at most, unless a text is longer.
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
    ) -> None:
        self.token_budget = token_budget
        self._labels, self._max_length = len(bundle.hierarchy), bundle.manifest.max_seq_length
        self._runtime = create_runtime(bundle, runtime, precision, threads, device, device_id)

    def logits(self, texts: Sequence[np.ndarray]) -> np.ndarray:
        """float32 [len(texts), labels] of token ids, int64 [length] each."""
        results = np.empty((len(texts), self._labels), np.float32)
        for numbers, computed in self.batches(texts):
            results[numbers] = computed
        return results

    def batches(self, texts: Sequence[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """As `logits`, but each batch's text numbers and logits as soon as they are computed."""
        if self._runtime.run_packed is None:
            yield from iterate_batches(texts, self._runtime.run, self.token_budget)
            return
        for batch in pack(texts, self.token_budget):
            yield batch.texts, self._runtime.run_packed(batch.inputs)[batch.places]

    def warm(self) -> None:
        """Run the shapes that will be used, so that no caller waits for what a runtime prepares at the first."""
        if self._runtime.run_packed is None:
            longest = np.zeros((1, self._max_length), np.int64)
            self._runtime.run(longest, longest)
            return
        for shape in shapes_to_warm(self.token_budget, self._max_length):
            self._runtime.run_packed(empty_inputs(*shape))
