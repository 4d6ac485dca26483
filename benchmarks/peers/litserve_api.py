"""What LitServe asks of a model: the pipeline of `benchmarks.peers.engines`, on batches of waiting requests."""

from __future__ import annotations

from pathlib import Path

import litserve

from benchmarks.peers.engines import BATCH_SIZE, answer, classifier

BATCH_WAIT_SECONDS = 0.005


class Classifier(litserve.LitAPI):
    """Answers `{"text": ...}` with `{"labels": [...]}`."""

    def __init__(self, folder: Path, precision: str) -> None:
        super().__init__(max_batch_size=BATCH_SIZE, batch_timeout=BATCH_WAIT_SECONDS)
        self._model = folder, precision

    def setup(self, device: str) -> None:
        self._classify = classifier(*self._model)

    def decode_request(self, request: dict[str, str]) -> str:
        return request["text"]

    def predict(self, texts: list[str]) -> list[list[str]]:
        return [answer(scores) for scores in self._classify(texts, truncation=True)]

    def encode_response(self, output: list[str]) -> dict[str, list[str]]:
        return {"labels": output}
