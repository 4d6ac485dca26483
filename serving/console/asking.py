"""Asking what answers, by one version of it at a time, and counting that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from fastapi import Request
from prometheus_client import CollectorRegistry, Counter, Histogram

from pipeline.errors import ServerError
from pipeline.labels.decoding import Answer
from pipeline.served import ServedModel
from serving.console.answering import Answering
from serving.console.kept import KeptTexts

Given = TypeVar("Given")
OF_BROWSERS = "sec-fetch-site", "origin"
"""Headers that browsers alone send: the first not by plain HTTP beyond this machine, the second with every POST."""
MOST_CHANGES = 5
"""Of the version, while a request is answered."""


class Metrics:
    """What Prometheus is told."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own: dict[str, Any] = {"namespace": "text_classifier_console", "registry": self.registry}
        self.texts = Counter("texts", "Texts that were answered", **own)
        self.refused = Counter("refused_requests", "Requests that were not answered", ["status"], **own)
        self.empty = Counter("texts_without_label", "Texts that were answered no label", **own)
        self.seconds = Histogram("request_seconds", "Time that a request for answers took", **own)


class Asking:
    """Asks `answering`, tells the `metrics`, and lets texts come into the sample that is `kept`, if any."""

    def __init__(self, answering: Answering, metrics: Metrics, kept: KeptTexts | None = None) -> None:
        self.answering, self.metrics, self._kept = answering, metrics, kept

    def keep(self, request: Request, texts: Sequence[str], answers: Sequence[Answer], served: ServedModel) -> None:
        """Keep texts that a program sent; those of people lie on their page, and browsers say that they ask for one."""
        if self._kept and not any(name in request.headers for name in OF_BROWSERS):
            self._kept.add(texts, answers, served)

    def by_one_version(self, ask: Callable[[], Given], texts: Sequence[str]) -> tuple[Given, ServedModel]:
        """What is answered, and the version that did so, labels and all.

        An answer does not say which bundle gave it: Triton's has the ensemble's own version, which is always 1. So the
        model is asked before and after. Unnoticed stays a version that is published and taken back again while one
        request is answered, each of which takes a server seconds.
        """
        for _ in range(MOST_CHANGES):
            served = self.answering.describe().model
            with self.metrics.seconds.time():
                given = ask()
            if self.answering.describe().model.bundle == served.bundle:
                self.metrics.texts.inc(len(texts))
                return given, served
        raise ServerError("other versions answer in turn; ask again when one is live")
