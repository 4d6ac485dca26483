"""The offline predictor: texts in, label paths out, in this process, from a bundle alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.compute.batching import TOKEN_BUDGET
from pipeline.compute.engine import Engine
from pipeline.compute.runtimes import resolve
from pipeline.files.bundle import Bundle
from pipeline.labels.decoding import Answer, Decoded


class Predictor:
    """Predicts with a bundle.

    Args:
        bundle: a bundle or its folder.
        runtime, precision: as for `pipeline.compute.runtimes.create_runtime`, or `auto` for what the release gate
            chose.
        threads, device, device_id: as for `pipeline.compute.runtimes.create_runtime`.
        token_budget: tokens, padding included, that one run of the model takes at most.
        max_seq_length: tokens to read of a text, if fewer than the model reads.

    Attributes:
        runtime, precision: what it computes with.
        encoder: what turns texts into token ids.

    Raises:
        InputError, EnvironmentFault, BundleError: as `Bundle` and `create_runtime` do.
    """

    def __init__(
        self,
        bundle: Bundle | Path | str,
        runtime: str = "onnxruntime",
        precision: str = "float32",
        threads: int | None = None,
        token_budget: int = TOKEN_BUDGET,
        device: str = "cpu",
        device_id: int = 0,
        max_seq_length: int | None = None,
    ) -> None:
        self.bundle = bundle if isinstance(bundle, Bundle) else Bundle(bundle)
        self.encoder = self.bundle.encoder(max_seq_length)
        self._decoder = self.bundle.decoder()
        self.runtime, self.precision = resolve(self.bundle, runtime, precision, device)
        self._engine = Engine(self.bundle, self.runtime, self.precision, threads, token_budget, device, device_id)

    @property
    def labels(self) -> list[str]:
        """The label paths in the order of the columns of `logits`, and of the scores of `decode`."""
        return list(self.bundle.hierarchy.labels)

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """float32 [len(texts), labels].

        Raises:
            InputError: a text is empty or too long; the message names its row.
        """
        return self._engine.logits(self.encoder.encode(texts))

    def decode(self, texts: Sequence[str]) -> Decoded:
        """The decoded batch; raises as `logits` does."""
        return self._decoder.decode(self.logits(texts))

    def predict(self, texts: Sequence[str]) -> list[Answer]:
        """Per text its label paths, most confident first, and whether it was truncated; raises as `logits` does."""
        self.encoder.check(texts)
        encoded = self.encoder.encode_checked(texts)
        decoded = self._decoder.decode(self._engine.logits(encoded.ids))
        return list(map(Answer, decoded.predictions(), encoded.truncated.tolist()))
