"""Servers that come and go under load: a short real run, and its arithmetic."""

import json
import shutil

import numpy as np
import pytest
import yaml

from benchmarks.serving import fleet
from benchmarks.serving.checked_load import FAILED, REFUSED, RIGHT, Tally
from benchmarks.serving.scaling import SCALED_OBJECT, ScalingOptions, main, outcomes, parse_args, verdict
from pipeline.errors import EnvironmentFault, InputError
from tests.conftest import run_command


@pytest.mark.slow
def test_nothing_is_lost_while_servers_come_and_go(bundle_path, sample_dataset, tmp_path):
    if not shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin"):
        pytest.skip("there is no haproxy here (Debian: apt-get install haproxy)")
    quicker = yaml.safe_load(SCALED_OBJECT.read_text(encoding="utf-8"))
    down = quicker["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
    down["stabilizationWindowSeconds"], down["policies"][0]["periodSeconds"] = 75, 30
    scaled_object, output = tmp_path / "quicker.yaml", tmp_path / "scaling.json"
    scaled_object.write_text(yaml.safe_dump(quicker), encoding="utf-8")
    what = ("--bundle", bundle_path, "--texts", sample_dataset / "test.txt", "--scaled_object", scaled_object)
    sizes = ("--period_seconds", 1, "--periods", 5, 15, 20, "--per_second", 10)
    more = ("--most", 2, "--heard_seconds", 1, "--output_file", output)
    done = run_command("-m", "benchmarks.serving.scaling", *what, *sizes, *more)
    record = json.loads(output.read_text(encoding="utf-8"))
    found = record["verdict"]
    assert json.loads(done.stdout.splitlines()[-1]) == found
    assert found["accepted requests lost"] == found["wrong answers"] == found["failed on the way down"] == 0, record
    assert found["servers that ended unbidden"] == 0
    periods = record["periods"]
    assert len(periods) == 40
    assert max(row["wanted"] for row in periods) == 2 == max(row["staying"] for row in periods)
    assert sum(row["answered per second"] for row in periods) > 5 * 10
    assert found["servers at the end"] == 1


def options(**changes):
    return ScalingOptions(period_seconds=1.0, periods=(4, 4, 4), bound_milliseconds=500, **changes)


def test_what_is_refused_counts_as_late():
    tally = Tally()
    for number in range(12):
        for outcome, seconds in ((RIGHT, 0.1), (RIGHT, 0.2), (RIGHT, 0.9 if number == 4 else 0.1)):
            tally.seconds[outcome].append(seconds)
            tally.moments[outcome].append(100 + number + 0.5 + seconds)
    tally.seconds[REFUSED].append(0.01)
    tally.moments[REFUSED].append(105.91)
    rows = outcomes(options(), tally, 100.0)
    assert [row["offered per second"] for row in rows] == [3, 3, 3, 3, 3, 4, *[3] * 6]
    assert [row["p99_of_all_ms"] for row in rows] == [200, 200, 200, 200, 900, None, *[200] * 6]
    rows = [{**row, "ready": 1, "staying": 1} for row in rows]
    found = verdict(options(), rows)
    assert found["p99 back within its bound after periods"] == 2
    assert (found["refused in the step"], found["refused otherwise"]) == (1, 0)
    assert found["accepted requests lost"] == 0
    rows[7][FAILED], rows[7]["p99_of_all_ms"] = 2, None
    found = verdict(options(), rows)
    assert found["p99 back within its bound after periods"] is None
    assert (found["accepted requests lost"], found["failed on the way down"]) == (2, 0)


def test_without_a_proxy_it_is_said_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(fleet, "PROXY", "no-such-proxy")
    with pytest.raises(EnvironmentFault, match=r"no no-such-proxy here .* apt-get install haproxy"):
        fleet.Proxy(tmp_path, {})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--periods", "4", "4"], "--periods are 2 numbers; give three"),
        (["--least", "4"], "--least 4 is more than --most 3"),
        (["--scaled_object", "absent.yaml"], "absent.yaml is no ScaledObject"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_starts(words, message):
    with pytest.raises(InputError, match=message):
        main(words)


def test_times_are_shortened_alike():
    read = parse_args(["--period_seconds", "5"]).scaling()
    assert (read.least, read.most, read.down_seconds) == (1, 3, pytest.approx(200))
    assert np.isclose(read.up[0].seconds, 20)
