"""The autoscaler of a benchmark decides as Prometheus and Kubernetes would."""

import re
from collections import defaultdict
from dataclasses import replace

import pytest
import yaml

from benchmarks.serving.autoscaler import COUNTED, Autoscaler, Load, Policy, Scaling, rate, read_counts
from benchmarks.serving.fleet import DEPLOYMENT, PodRules
from benchmarks.serving.scaling import SCALED_OBJECT
from pipeline.errors import InputError
from tests.conftest import PROJECT

SERIES = re.compile(r"(\w+)\{(.*)\}")
RISE = re.compile(r"([\d.e]+)(?:\+([\d.e]+))?(?:x(\d+))?")


def values(notation):
    """What promtool reads of `a+bxn`: n + 1 values."""
    for start, step, times in RISE.findall(notation):
        yield from (float(start) + float(step or 0) * number for number in range(int(times or 0) + 1))


def loads_by_the_rule():
    """The samples of the rule's own test by moment, server and counter, and what it must give when."""
    tests = yaml.safe_load((PROJECT / "serving/monitoring/alerts_test.yml").read_text(encoding="utf-8"))["tests"]
    (test,) = (each for each in tests if each["name"].startswith("how much of what its servers can carry"))
    samples = defaultdict(lambda: defaultdict(dict))
    for series in test["input_series"]:
        name, labels = SERIES.fullmatch(series["series"]).groups()
        labels = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        if labels["job"] == "text-classifier" and name in COUNTED:
            for number, value in enumerate(values(series["values"])):
                samples[15 * number][labels["instance"]][name, labels.get("model", "")] = value
    given = {}
    for each in test["promql_expr_test"]:
        if each["expr"].startswith("round(job:text_classifier_load:share1m"):
            ours = [sample["value"] for sample in each["exp_samples"] if "text-classifier" in sample["labels"]]
            given[60 * int(each["eval_time"][:-1])] = ours[0]
    return samples, given


def test_the_load_is_that_of_the_rule():
    samples, given = loads_by_the_rule()
    load, found = Load(), {}
    for moment, servers in sorted(samples.items()):
        for server, counts in servers.items():
            load.add(server, moment, counts)
        if moment in given:
            found[moment] = round(load.share(moment), 3)
    assert found == given
    assert len(given) == 4


def test_rates_are_extrapolated_as_by_prometheus():
    # Worked out by hand: of 30 s, at both ends; a counter that began with 0 did so where it is first seen.
    samples = [(100.0, 10.0), (110.0, 20.0), (120.0, 40.0)]
    assert rate(samples, now=125, seconds=60) == pytest.approx(30 * (20 + 5 + 5) / 20 / 60)
    assert rate([(100.0, 0.0), *samples[1:]], now=120, seconds=60) == pytest.approx(40 * 20 / 20 / 60)
    assert rate([*samples, (130.0, 5.0)], now=130, seconds=60) == pytest.approx(35 * (30 + 5) / 30 / 60)
    assert rate(samples[:1], now=125, seconds=60) is None


def test_counters_are_read_by_model():
    page = """# TYPE nv_inference_request_failure counter
nv_inference_request_failure{model="seqcls",reason="OTHER",version="1"} 4
nv_inference_request_failure{model="seqcls",reason="CANCELED",version="1"} 2
text_classifier_surplus_requests_total{version="1"} 3e+00
nv_cpu_memory_used_bytes 7
"""
    assert read_counts(page) == {
        ("nv_inference_request_failure", "seqcls"): 6,
        ("text_classifier_surplus_requests_total", ""): 3,
    }


def scaling(**changes):
    whole = {"least": 1, "most": 8, "threshold": 0.7, "up_seconds": 0, "down_seconds": 600}
    policies = {"up": (Policy("Percent", 100, 60),), "down": (Policy("Pods", 1, 120),)}
    return Scaling(**{**whole, **policies, **changes})


def test_a_rush_adds_servers_as_fast_as_the_policies_allow():
    doubling = Autoscaler(scaling())
    assert [doubling.decide(now, 1.4, *counts) for now, counts in ((0, (1, 1)), (15, (2, 1)), (30, (2, 2)))] == [
        2,
        2,
        2,
    ]
    assert doubling.decide(75, 1.4, 2, 2) == 4
    either = Autoscaler(scaling(up=(Policy("Percent", 100, 60), Policy("Pods", 4, 60))))
    assert either.decide(0, 2.0, 1, 1) == 3
    assert either.decide(15, 2.0, 3, 3) == 5  # four in the minute
    assert either.decide(30, 2.0, 5, 5) == 5


def test_a_step_of_four_times_the_load_is_met_within_three_periods():
    """By loads as measured: before, pods were at most doubled each minute, and the third came in the fifth period."""
    autoscaler = Autoscaler(replace(Scaling.read(SCALED_OBJECT), least=1))
    assert [autoscaler.decide(15 * number, 0.55, 1, 1) for number in range(4)] == [1] * 4
    assert autoscaler.decide(60, 1.286, 1, 1) == 2
    assert autoscaler.decide(75, 1.775, 2, 1) == 3


def test_servers_that_are_not_ready_do_not_call_for_others():
    autoscaler = Autoscaler(scaling(least=2))
    assert autoscaler.decide(0, 2.0, 4, 1) == 4
    assert autoscaler.decide(15, 2.0, 4, 4) == 8


def test_servers_go_one_by_one_when_none_was_wanted_for_long():
    autoscaler = Autoscaler(scaling())
    assert autoscaler.decide(0, 0.75, 3, 3) == 3  # within the tolerance
    found, current = {}, 3
    for now in range(15, 1200, 15):
        wanted = autoscaler.decide(now, 0.1, current, current)
        if wanted != current:
            found[now], current = wanted, wanted
    assert found == {600: 2, 720: 1}


def test_what_kubernetes_gets_is_what_is_followed(tmp_path):
    read = Scaling.read(SCALED_OBJECT)
    assert (read.least, read.most, read.threshold, read.down_seconds) == (2, 8, 0.7, 600)
    assert read.shortened(0.1).down == (Policy("Pods", 1, 12.0),)
    rules = PodRules.read(DEPLOYMENT, 0.5)
    assert (rules.startup_seconds, rules.ready_seconds, rules.failures, rules.parting_seconds) == (2.5, 5.0, 2, 5.0)
    other = tmp_path / "other.yaml"
    other.write_text("spec: {}\n")
    for kind, words in ((Scaling.read, (other,)), (PodRules.read, (other, 1.0))):
        with pytest.raises(InputError, match=r"other\.yaml is no (ScaledObject|Deployment) with"):
            kind(*words)
