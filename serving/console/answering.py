"""What answers the console: a Triton server that runs, or a bundle in this process."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from clients.triton import TritonClient
from pipeline.explanation.reasons import explained
from pipeline.files.bundle import Bundle
from pipeline.files.manifest import Manifest
from pipeline.labels.decoding import Answer
from pipeline.labels.request_options import DecoderChoice
from pipeline.metrics.traffic import text_bins
from pipeline.predictor import Predictor
from pipeline.served import ServedModel, unsaid
from pipeline.tensors import EXPLAIN
from serving.triton.metrics import metrics_page

MOST_TEXTS = 1024
"""Of one request."""


@dataclass(frozen=True)
class Described:
    """A model, as the page is told of it.

    Attributes:
        source: where it answers from, in words.
        model: what is served.
        manifest: what its bundle says; None where a server answers, which does not tell.
    """

    source: str
    model: ServedModel
    manifest: Manifest | None = None

    def __str__(self) -> str:
        if not self.model.version:
            return f"{self.source}: bundle {self.model.bundle}, model {self.model.model}"
        return f"{self.source}: {self.model}"


class Answering(Protocol):
    """Answers texts; usable from several threads. All raise InputError and ServerError as `TritonClient` does."""

    def describe(self) -> Described:
        """What answers now."""

    def close(self) -> None:
        """Leave what answers."""

    def metrics(self) -> str | None:
        """A page of what it has counted, as Prometheus reads it; None where the console counts all that there is."""

    def classify(self, texts: Sequence[str], options: Mapping[str, Any]) -> list[Answer]:
        """Per text its labels, as a request's `options` ask for them."""

    def answers_and_scores(self, texts: Sequence[str]) -> tuple[list[Answer], np.ndarray]:
        """Per text its labels, as the model itself decodes, and every label's score, float32 [texts, labels]."""

    def text_bins(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """As `pipeline.metrics.traffic.text_bins`, of texts that were answered, as far as it is known here."""


class FromTriton:
    """Answers by a Triton server.

    Args:
        url: its gRPC address.
        metrics: the address of its metrics; the port after that one if not given.
    """

    def __init__(self, url: str, metrics: str | None = None) -> None:
        host, _, port = url.rpartition(":")
        self._metrics = metrics or f"{host}:{int(port) + 1}"
        self._url, self._client = url, TritonClient(url, timeout_seconds=60, retries=1)

    def describe(self) -> Described:
        model = self._client.model()
        if not model.thresholds:
            raise unsaid(self._url)
        return Described(f"Triton {self._url}", model)

    def metrics(self) -> str:
        return metrics_page(self._metrics)

    def classify(self, texts: Sequence[str], options: Mapping[str, Any]) -> list[Answer]:
        return self._client.classify(texts, **options)

    def answers_and_scores(self, texts: Sequence[str]) -> tuple[list[Answer], np.ndarray]:
        return self._client.answers_and_scores(texts)

    def text_bins(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        return text_bins(texts, [], None)

    def close(self) -> None:
        self._client.close()


class FromBundle:
    """Answers by a bundle, one request at a time.

    Args:
        path: its folder, which may go once it is open.
        source: what it is called; its path if not given.
        identity: of the bundle that it was published as, if it was.

    Raises:
        InputError, EnvironmentFault, BundleError: as `Predictor` does.
    """

    def __init__(self, path: Path, source: str = "", identity: str = "") -> None:
        bundle = Bundle(path)
        choices = bundle.manifest.gate.get("choices")
        self._predictor = Predictor(bundle, *(("auto", "auto") if choices else ()))
        self._choose = DecoderChoice(bundle.decoder())
        named = identity or bundle.identity
        record = {"number": 0, "bundle": named, "published": "", "model": bundle.manifest.model_name}
        model = ServedModel.of(record, bundle.manifest, bundle.manifest.most_tokens, MOST_TEXTS)
        self._described, self._alone = Described(source or f"{path}", model, bundle.manifest), threading.Lock()

    def describe(self) -> Described:
        return self._described

    def metrics(self) -> None:
        return None

    def classify(self, texts: Sequence[str], options: Mapping[str, Any]) -> list[Answer]:
        chosen = {name: value for name, value in options.items() if value is not None}
        if not chosen.pop(EXPLAIN, False):
            return self._decode(texts, chosen)[0]
        decoder, encoder = self._choose(chosen), self._predictor.encoder
        encoder.check(texts)
        with self._alone:
            return list(explained(texts, encoder, decoder, self._predictor.read, self._predictor.neighbours))

    def answers_and_scores(self, texts: Sequence[str]) -> tuple[list[Answer], np.ndarray]:
        return self._decode(texts, {})

    def text_bins(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        encoder = self._predictor.encoder
        if not encoder.reads_tokens:
            return text_bins(texts, [], None)
        return text_bins(texts, encoder.encode_checked(texts).ids, encoder.tokeniser.unknown_id)

    def close(self) -> None:
        """Nothing is open."""

    def _decode(self, texts: Sequence[str], options: Mapping[str, Any]) -> tuple[list[Answer], np.ndarray]:
        decoder = self._choose(options)
        with self._alone:
            logits, truncated = self._predictor.read(texts)
        decoded = decoder.decode(logits)
        return decoder.told(decoded, truncated), decoded.scores
