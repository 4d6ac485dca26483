"""The tables on the page about scale are what the calculator makes of the records."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from serving.bulk.estimate import EstimateOptions, estimate_machines
from tests.conftest import PROJECT
from tests.docs.pages import CHINESE, ENGLISH

RESULTS = PROJECT / "benchmarks" / "results"
TEXTS = {"10^6": 1e6, "10^8": 1e8, "10^9": 1e9}
MACHINE = {"cores_per_machine": 16, "price": 1}


def record(name: str):
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def rows_in_bulk() -> Iterator[str]:
    found = record("frontier")
    for shape in ("ernie-3.0-base", "ernie-3.0-medium", "ernie-3.0-nano"):
        milliseconds = found["shapes"][shape]["ms per text"]["openvino bfloat16"]
        rate = round(1000 / milliseconds / found["environment"]["cores"])
        for name, texts in TEXTS.items():
            need = estimate_machines(EstimateOptions(texts_per_day=texts, rate=rate, **MACHINE)).bulk
            cells = f"{need.cores:,.1f} | {need.machines} | {need.hours:.2f} | {need.cost:,.2f}"
            yield f"| {shape} | {rate} | {name} | {cells} |"


def rows_served() -> Iterator[str]:
    found = record("load")
    rate = round(found["summary"]["ours"]["c32"]["texts_per_second"]["median"] / found["environment"]["cores"])
    for name, texts in TEXTS.items():
        need = estimate_machines(EstimateOptions(texts_per_day=texts, rate=rate, **MACHINE)).serving
        assert need
        at_peak = texts / 86400 * EstimateOptions.peak_factor
        yield f"| {rate} | {name} | {at_peak:,.0f} | {need.cores:,.1f} | {need.machines} | {need.cost:,.0f} |"


def rows_of_queues() -> Iterator[str]:
    for load in record("load")["arrivals"]["ours"]:
        yield f"| {load['share of capacity']:g} | {load['p50_ms']:.0f} | {load['p99_ms']:.0f} |"


def rows_of_memory() -> Iterator[str]:
    for run in record("bulk_growth")["measured"]:
        memory = f"{run['driver_megabytes']:.0f} | {run['worker_megabytes']:.0f} | {run['manifest_bytes'] / 1000:.1f}"
        speed = f"{run['rows_per_core_second']:,.0f} | {run['share_of_predictor']:.2f}"
        yield f"| {run['rows']:,} | {memory} | {speed} |"


@pytest.mark.parametrize("folder", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_the_tables_are_what_is_reckoned(folder):
    page = (folder / "concepts" / "scale.md").read_text(encoding="utf-8").splitlines()
    assert [
        row for row in (*rows_in_bulk(), *rows_served(), *rows_of_queues(), *rows_of_memory()) if row not in page
    ] == []
