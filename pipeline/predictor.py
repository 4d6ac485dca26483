"""The offline predictor: texts in, label paths out, in this process, from a bundle alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from pipeline.compute.batching import TOKEN_BUDGET
from pipeline.compute.engine import Engine
from pipeline.compute.runtimes import resolve
from pipeline.explanation.neighbours import Neighbours
from pipeline.explanation.reasons import explained
from pipeline.files.bundle import Bundle
from pipeline.labels.decoding import Answer, Decoded, Decoder


class Predictor:
    """Predicts with a bundle.

    Args:
        bundle: a bundle or its folder.
        runtime, precision: as for `pipeline.compute.runtimes.create_runtime`, or `auto` for what the release gate
            chose.
        threads, device, device_id: as for `pipeline.compute.runtimes.create_runtime`.
        token_budget: tokens, padding included, that one run of the model takes at most.
        max_seq_length: tokens to take at once, if fewer than the model does.

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
        self._engine = Engine(
            *(self.bundle, self.runtime, self.precision, threads, token_budget, device, device_id, max_seq_length)
        )

    @cached_property
    def neighbours(self) -> Neighbours | None:
        """What finds the training rows that a text is like; None where the bundle holds none."""
        return Neighbours.of(self.bundle)

    @property
    def labels(self) -> list[str]:
        """The label paths in the order of the columns of `logits`, and of the scores of `decode`."""
        return list(self.bundle.hierarchy.labels)

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """float32 [len(texts), labels].

        Raises:
            InputError: a text is empty or too long; the message names its row.
        """
        return self.read(texts)[0]

    def decode(self, texts: Sequence[str]) -> Decoded:
        """The decoded batch; raises as `logits` does."""
        return self._decoder.decode(self.logits(texts))

    def predict(self, texts: Sequence[str], promise: float | None = None) -> list[Answer]:
        """Per text its label paths, most confident first, and whether it was truncated.

        Args:
            promise: answer only labels of this precision, which the bundle promises; maybe none.

        Raises:
            InputError: as `logits` does, or the bundle holds no such promise.
        """
        decoder, (logits, truncated) = self._promising(promise), self.read(texts)
        return decoder.answers(logits, truncated)

    def explain(self, texts: Sequence[str], promise: float | None = None) -> list[Answer]:
        """As `predict`, with the words that carry each label, and the training rows with it that are most like the text
        where the bundle holds any; costs up to 24 further answers of a text."""
        decoder = self._promising(promise)
        self.encoder.check(texts)
        return list(explained(texts, self.encoder, decoder, self.read, self.neighbours))

    def _promising(self, promise: float | None) -> Decoder:
        return self._decoder if promise is None else self._decoder.promising(promise)

    def read(self, texts: Sequence[str]) -> tuple[np.ndarray, list[bool]]:
        """As `logits`, and of each text whether it was truncated."""
        self.encoder.check(texts)
        encoded = self.encoder.encode_checked(texts)
        ids = encoded.ids if self.encoder.reads_tokens else encoded.ids[:1]  # they are all the same
        logits = self.bundle.manifest.combine(self._engine.logits(ids), encoded.linear)
        return logits, encoded.truncated.tolist()
