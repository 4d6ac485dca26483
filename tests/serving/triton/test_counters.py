"""What the steps count, and when. The module of Triton's Python backend is in no process but Triton's."""

from __future__ import annotations

import importlib
import sys
import time
from collections import Counter
from types import SimpleNamespace

import pytest

MODULE = "serving.triton.backend.counters"


class Family:
    """Keeps what Triton would show, by the name of the metric."""

    COUNTER, GAUGE = "counter", "gauge"
    shown: Counter

    def __init__(self, name, description, kind):
        self._name = name

    def Metric(self, labels):
        return SimpleNamespace(increment=lambda count: self.shown.update({self._name: count}))


@pytest.fixture
def counters(monkeypatch):
    monkeypatch.setattr(Family, "shown", Counter(), raising=False)
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", SimpleNamespace(MetricFamily=Family))
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    yield importlib.import_module(MODULE)
    sys.modules.pop(MODULE, None)


def test_batches_of_one_kind_are_counted_together_and_nobody_waits_for_it(counters, monkeypatch):
    monkeypatch.setattr(counters, "FLUSH_SECONDS", 60)
    seen = []

    def count(kind, batches):
        seen.append((kind, batches))
        told.add("rows_total", sum(map(len, batches)))

    told = counters.Counters("1", {"rows_total": "Rows"}, count)
    for kind, batch in (("a", "xy"), ("b", "z"), ("a", "x")):
        told.later(kind, batch, len(batch))
    assert not seen and not Family.shown
    told.close()
    assert seen == [("a", ["xy", "x"]), ("b", ["z"])] and Family.shown == {"text_classifier_rows_total": 4}


def test_batches_are_counted_without_more_of_them(counters, monkeypatch):
    monkeypatch.setattr(counters, "FLUSH_SECONDS", 0.01)
    told = counters.Counters("1", {"rows_total": "Rows"}, lambda _, batches: told.add("rows_total", len(batches)))
    told.later("a", "x", 1)
    deadline = time.monotonic() + 10
    while not Family.shown and time.monotonic() < deadline:
        time.sleep(0.01)
    assert Family.shown == {"text_classifier_rows_total": 1}
    told.close()


def test_what_waits_takes_no_more_than_so_much_memory(counters, monkeypatch):
    monkeypatch.setattr(counters, "FLUSH_SECONDS", 60)
    seen = []
    told = counters.Counters("1", {}, lambda _, batches: seen.append(len(batches)))
    half = counters.MOST_WAITING // 2
    for _ in range(5):
        told.later("a", None, half)
    assert seen == [3]
    told.close()
    assert seen == [3, 2]


def test_a_batch_that_cannot_be_counted_stops_no_other_counter(counters, monkeypatch, capfd):
    monkeypatch.setattr(counters, "FLUSH_SECONDS", 0.01)

    def fail(kind, batches):
        raise ValueError("no such bin")

    told = counters.Counters("1", {"rows_total": "Rows"}, fail)
    told.later("a", "x", 1)
    deadline = time.monotonic() + 10
    while told._batches and time.monotonic() < deadline:
        time.sleep(0.01)
    told.add("rows_total", 2)
    told.close()
    assert Family.shown == {"text_classifier_rows_total": 2}
    assert "no such bin" in capfd.readouterr().err
