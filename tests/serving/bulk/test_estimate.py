"""How many machines are reckoned, from a rate that is given or measured, and what is refused."""

from __future__ import annotations

import json

import pytest

from pipeline.errors import InputError
from serving.bulk.estimate import EstimateOptions, Need, estimate_machines, main
from tests.serving.bulk.scored import as_lines


def test_machines_hours_and_cost_follow_from_the_rate():
    given = {"rate": 100, "hours": 10, "bulk_utilisation": 0.5, "utilisation": 0.5, "peak_factor": 2, "spare": 0.25}
    found = estimate_machines(EstimateOptions(texts_per_day=86_400_000, cores_per_machine=8, price=2, **given))
    # 1,000 texts a second on average; in bulk 50 a second and core, of 10 of 24 hours; served 2,000 at the peak.
    assert found.bulk == Need(cores=48, machines=8, hours=7.5, cost=120)
    assert found.serving == Need(cores=40, machines=7, hours=24, cost=336)


def test_one_run_is_not_served_and_costs_nothing_without_a_price(capsys):
    words = ["--texts", "1e9", "--rate", "1000", "--hours", "48"]
    main([*words, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["serving"] is None
    assert (found["bulk"]["machines"], found["bulk"]["cost"]) == (2, None)
    main(words)
    assert capsys.readouterr().out.splitlines()[0] == "1,000.0 texts a second and core"


def test_the_rate_is_measured(linear, texts, tmp_path):
    (tmp_path / "a.txt").write_bytes(as_lines(texts))
    places = {"bundle": linear.path, "input": (str(tmp_path / "a.txt"),)}
    assert estimate_machines(EstimateOptions(texts=1e6, **places)).rate > 10
    (tmp_path / "a.txt").write_bytes(b"\n")
    with pytest.raises(InputError, match="has no text that can be scored; give another file"):
        estimate_machines(EstimateOptions(texts=1e6, **places))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rate": 1}, "give one of --texts_per_day and --texts"),
        ({"rate": 1, "texts": 1, "texts_per_day": 1}, "give one of --texts_per_day and --texts"),
        ({"texts": 1}, "give --rate, or --bundle and --input"),
        ({"texts": 1, "bundle": "export"}, "give --rate, or --bundle and --input"),
        ({"texts": 1, "rate": 1, "input": ("a.txt",)}, "give --rate, or --bundle and --input"),
        ({"texts": 1, "rate": 1, "bundle": "export", "input": ("a.txt",)}, "give --rate, or --bundle and --input"),
        ({"texts_per_day": 1, "rate": 1, "hours": 25}, "--hours is 25: a day's texts have to be scored within 24"),
        ({"texts": 1e300, "rate": 1}, "--texts is 1e.300; give a number, at least 1 and at most 1e.15"),
        ({"texts": 1, "rate": float("nan")}, "--rate is nan"),
        ({"texts": 1, "rate": 1, "utilisation": 1}, "--utilisation is 1.0; give a number, .* below 1"),
    ],
)
def test_what_cannot_be_reckoned_with_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        EstimateOptions(**given)


def test_the_largest_numbers_are_reckoned_with():
    found = estimate_machines(EstimateOptions(texts_per_day=1e15, rate=0.001, hours=0.01, utilisation=0.01))
    assert found.bulk.machines > 1e15
