"""`make soak`: a short run of everything, and what its verdict goes by."""

import json

import pytest

from benchmarks.endurance.answers import Answers, relabelled
from benchmarks.endurance.faults import Event, Faults, unexplained_failures
from benchmarks.endurance.load import RIGHT, Load
from benchmarks.endurance.samples import FILES, RESIDENT, THREADS, Sample, growths
from benchmarks.endurance.soak import main
from benchmarks.plots import soak
from pipeline.errors import InputError
from pipeline.files.bundle import Bundle
from pipeline.predictor import Predictor
from serving.folders import PADDLE, TRITON
from tests.conftest import run_command


@pytest.mark.slow  # a minute or two
def test_a_short_run_with_a_change_of_versions_keeps_its_bounds(python39, bundle_path, sample_dataset, tmp_path):
    output, words = tmp_path / "soak.json", ("--bundle", bundle_path, "--texts", sample_dataset / "test.txt")
    bounds = ("--seconds", 30, "--growth_share", 1, "--failure_seconds", 60)
    done = run_command("-m", "benchmarks.endurance.soak", *words, *bounds, "--output_file", output)
    record = json.loads(output.read_text(encoding="utf-8"))
    assert json.loads(done.stdout.splitlines()[-1])["verdict"] == record["verdict"] == "pass"
    assert record["events"][0]["what"] == "published version 2"
    for server, kinds in record["requests"].items():
        assert all(found[RIGHT] > 0 for found in kinds.values()), (server, kinds)
    assert {"triton tokenizer", "triton gRPC front", "paddle server", "load"} <= set(record["samples"])
    assert output.with_suffix(".png").stat().st_size > 10_000


@pytest.fixture(scope="module")
def answers(bundle_path, tmp_path_factory, sample_dataset):
    bundle = Bundle(bundle_path)
    texts = [line.split("\t")[0] for line in (sample_dataset / "test.txt").read_text(encoding="utf-8").splitlines()]
    other = relabelled(bundle, tmp_path_factory.mktemp("other") / "bundle")
    return Answers([bundle, other], texts, "onnxruntime", "float32"), bundle, other


def test_an_answer_of_the_version_before_or_with_another_confidence_is_wrong(answers):
    answers, bundle, other = answers
    text = answers.short[0]
    got = dict(Predictor(bundle).predict([text])[0])
    assert answers.fault(text, got, 0, frozenset({bundle.identity})) == ""
    assert answers.fault(text, got, 0, frozenset({bundle.identity, other.identity})) == ""
    assert answers.fault(text, got, 0, frozenset({other.identity})).startswith("labels ")
    changed = {label: confidence - 0.01 for label, confidence in got.items()}
    assert answers.fault(text, changed, 0, frozenset({bundle.identity})) == "confidence differs by 0.0100"
    assert answers.fault(text, {}, 0, frozenset({bundle.identity})).startswith("labels none")


def series(values, pid=1, start=0):
    held = (RESIDENT, THREADS, FILES)
    return [Sample(start + 3 * at, pid, dict.fromkeys(held, value)) for at, value in enumerate(values)]


def found(samples):
    return growths({"server": samples}, warm=60, seconds=600, share=0.1)[f"server, {RESIDENT}"]


def test_what_grows_all_the_time_is_too_much_and_a_peak_is_not():
    steady = [300.0 + at % 7 for at in range(200)]
    assert not found(series(steady))["too much"]
    assert not found(series([*steady[:100], 2000.0, *steady[101:]]))["too much"]
    leaking = found(series([value + 0.3 * at for at, value in enumerate(steady)]))
    assert leaking["too much"]
    assert leaking["grows by"] == pytest.approx(60, abs=3)


def test_a_process_that_warms_up_after_each_of_its_starts_does_not_grow():
    lives = [
        sample
        for life in range(8)
        for sample in series([min(300.0, 100.0 + 30 * at) for at in range(25)], pid=life + 1, start=75 * life)
    ]
    assert found(lives)["grows by"] == 0


def test_a_failure_needs_a_cause_that_hurts_its_server(answers):
    answers, bundle, _ = answers
    loads = {TRITON: Load(TRITON, answers, bundle.identity, "127.0.0.1:1"), PADDLE: None}
    loads[PADDLE] = Load(PADDLE, answers, bundle.identity, "127.0.0.1:1")
    faults = Faults(None, loads, [], {TRITON: 10.0, PADDLE: 20.0})
    faults.events = [Event("published", 100.0, 103.0, (PADDLE,)), Event("killed", 200.0, 200.0, (TRITON,))]
    for moment in (99.0, 101.0, 205.0, 211.0):
        loads[TRITON].tally.failures.append((moment, "short", "gone"))
    for moment in (101.0, 122.0, 205.0):
        loads[PADDLE].tally.failures.append((moment, "short", "gone"))
    strays = [(each["server"], each["moment"]) for each in unexplained_failures(faults)]
    assert strays == [(TRITON, 99.0), (TRITON, 101.0), (TRITON, 211.0), (PADDLE, 205.0)]


def test_the_plot_shows_each_server():
    sums = {"seconds": [0.0, 3.0], RESIDENT: [10.0, 11.0], THREADS: [2.0, 2.0], FILES: [4.0, 4.0]}
    whole = {"seconds": [0.0, 3.0], "shared MB": [1.0, 1.0], "processes": [3.0, 3.0]}
    record = {
        "samples": {f"{name} server": sums for name in (TRITON, PADDLE)} | dict.fromkeys((TRITON, PADDLE), whole),
        "totals": dict.fromkeys((TRITON, PADDLE)),
        "failures at": {TRITON: [1.0], PADDLE: []},
        "events": [{"second": 1.0, "lasted": 0.0}],
    }
    assert [axes.get_title().partition(":")[0] for axes in soak(record).axes][:2] == [TRITON, PADDLE]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--other", "export"], "--other goes with --bundle; give both"),
        (["--seconds", "1"], "--seconds is 1.0; give a number, at least 10"),
    ],
)
def test_what_cannot_be_run_is_refused(words, message):
    with pytest.raises(InputError, match=message):
        main(words)
