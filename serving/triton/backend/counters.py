"""Prometheus counters on Triton's metrics port."""

from __future__ import annotations

import threading
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import triton_python_backend_utils as pb_utils

PREFIX = "text_classifier_"
FLUSH_SECONDS = 0.5
MOST_WAITING = 1 << 20
"""Where batches of more numbers or characters wait, they are counted without waiting: they take memory."""


def expect(version: str, name: str, help: str, counts: Mapping[tuple[str, str], int]) -> list[Any]:
    """Show fixed numbers, by feature and bin; they are shown for as long as what is returned is kept."""
    family = pb_utils.MetricFamily(name=PREFIX + name, description=help, kind=pb_utils.MetricFamily.GAUGE)
    kept = [family]
    for (feature, part), count in counts.items():
        metric = family.Metric(labels={"version": version, "feature": feature, "bin": part})
        metric.set(count)
        kept.append(metric)
    return kept


class Counters:
    """Counters that are added to now and handed to Triton a little later, by a thread.

    Each handing over is a message to the server process; done for every request, these would take longer than the
    request's own work. Counting what is in one text takes nearly as long as what is in hundreds, and its caller would
    wait; so that is done just before, for all batches since the last time.

    Args:
        version: the model's version, which becomes the label `version` of all.
        helps: what each counter counts, by its name without PREFIX.
        count: adds what is in batches of one kind; gets the kind and the batches, from several threads.
    """

    def __init__(self, version: str, helps: Mapping[str, str], count: Callable[[Any, list[Any]], None]) -> None:
        self._version, self._count = version, count
        self._batches: defaultdict[Hashable, list[Any]] = defaultdict(list)
        self._size = 0
        self._families = {
            name: pb_utils.MetricFamily(name=PREFIX + name, description=text, kind=pb_utils.MetricFamily.COUNTER)
            for name, text in helps.items()
        }
        self._metrics: dict[tuple[str, tuple[tuple[str, str], ...]], Any] = {}
        self._waiting: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()
        self._lock, self._end = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._flush_often, daemon=True)
        self._thread.start()

    def add(self, name: str, count: float, **labels: str) -> None:
        """Add to a counter; one with other labels is another counter of the same family."""
        with self._lock:
            self._waiting[name, tuple(labels.items())] += count  # type: ignore[assignment]

    def later(self, kind: Hashable, batch: Any, size: int) -> None:
        """Have what is in a batch, of so many numbers or characters, counted before the next handing over."""
        with self._lock:
            self._batches[kind].append(batch)
            self._size += size
        if self._size > MOST_WAITING:
            self._count_batches()

    def close(self) -> None:
        """Hand over what is left."""
        self._end.set()
        self._thread.join()

    def _flush_often(self) -> None:
        ended = False
        while not ended:
            ended = self._end.wait(FLUSH_SECONDS)
            try:
                self._flush()
            except Exception:  # noqa: BLE001 - all counters would stand still from then on, without a word
                traceback.print_exc()

    def _count_batches(self) -> None:
        with self._lock:
            batches, self._batches, self._size = self._batches, defaultdict(list), 0
        for kind, each in batches.items():
            self._count(kind, each)

    def _flush(self) -> None:
        self._count_batches()
        with self._lock:
            waiting, self._waiting = self._waiting, Counter()
        for (name, labels), count in waiting.items():
            metric = self._metrics.get((name, labels))
            if metric is None:
                metric = self._families[name].Metric(labels={"version": self._version, **dict(labels)})
                self._metrics[name, labels] = metric
            if count:
                metric.increment(count)
