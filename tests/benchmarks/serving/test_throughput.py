"""The comparison with the baseline: a short real run of everything, its arithmetic, and what it refuses."""

import json

import pytest

from benchmarks.rounds import ORIGIN, OURS
from benchmarks.serving.throughput import main
from benchmarks.serving.triton_load import LEAST_SECONDS, TIMEOUT_SECONDS, PerfAnalyzer, patience, summarise
from benchmarks.serving.turns import IN_PROCESS, WHOLE
from benchmarks.serving.turns import summarise as summarise_rounds
from pipeline.errors import DatasetError, InputError, ServerError
from serving.process.ports import Ports
from tests.conftest import run_command

TEXTS = [
    "昨日某地一辆货车与客车相撞,造成两人死亡",
    '"Oracle"公司宣布裁员🙂',
    "球队3:1晋级",
    *(f"第{number}届运动会今日开幕,{'众多' * number}选手参加" for number in range(30)),
]


@pytest.mark.slow  # `make bench` runs it in full
def test_a_short_run_compares_three_that_answer_alike(tmp_path):
    texts, output = tmp_path / "texts.txt", tmp_path / "results.json"
    texts.write_text("".join(f"{text}\t组织关系\n" for text in TEXTS), encoding="utf-8")
    sizes = ("--rounds", 1, "--seconds", 0.1, "--concurrency", 1, 4, "--shape", "scratch-tiny", "--width", "1/2")
    exact = ("--runtime", "onnxruntime", "--precision", "float32", "--threads", 1)
    done = run_command("-m", "benchmarks.serving.throughput", "--texts", texts, *sizes, *exact, "--output_file", output)
    results = json.loads(output.read_text(encoding="utf-8"))
    # In float32 the baseline can only answer so if it reads the same token ids as the predictor.
    assert results["equal label sets"] == {"ours": 1.0, "origin": 1.0}
    (turns,) = results["rounds"]
    assert set(turns[IN_PROCESS]) == {"1", "4", WHOLE}
    for name in (OURS, ORIGIN):
        for concurrency in ("1", "4"):
            turn = turns[name][concurrency]
            assert turn["requests"] >= len(TEXTS)
            assert turn["requests"] % len(TEXTS) == 0
            assert 0 < turn["p50_ms"] <= turn["p99_ms"]
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["pairs"] == 1
    assert 0 < last["share_of_limit_c4"] < 1
    assert last["throughput_ratio_c4"] == pytest.approx(
        turns[OURS]["4"]["throughput"] / turns[ORIGIN]["4"]["throughput"], abs=1e-3
    )


def test_throughput_counts_from_the_first_start_to_the_last_end():
    def log(*times):
        entries = [{"timestamp": start, "response_timestamps": ends} for start, ends in times]
        return {"experiments": [{"requests": entries}]}

    millisecond = 1_000_000
    turn = summarise(log((0, [100 * millisecond]), (50 * millisecond, [250 * millisecond])), 2)
    assert (turn.throughput, turn.p50_ms) == (pytest.approx(8), pytest.approx(150))
    with pytest.raises(ServerError, match="1 of 2 requests were answered"):
        summarise(log((0, [100]), (50, [])), 2)


def test_a_round_far_from_the_others_makes_its_figures_noisy():
    def turns(ours, origin):
        server = {"throughput": ours, "p50_ms": 10.0}
        return {
            OURS: {"1": server},
            ORIGIN: {"1": {"throughput": origin, "p50_ms": 25.0}},
            IN_PROCESS: {"1": {"throughput": 100.0, "p50_ms": 9.5}, WHOLE: {"throughput": 200.0, "p50_ms": 9.0}},
        }

    summary = summarise_rounds([turns(100.0, 20.0), turns(102.0, 20.0), turns(150.0, 20.0)])
    assert summary["throughput_ratio_c1"] == {"median": 5.1, "lowest": 5.0, "highest": 7.5, "noisy": True}
    assert summary["p50_ratio_c1"]["median"] == 0.4
    assert summary["p50_over_in_process_ms_c1"] == {"median": 0.5, "lowest": 0.5, "highest": 0.5, "noisy": False}


def test_a_turn_is_given_up_by_what_the_one_before_took():
    assert patience(100, None) == TIMEOUT_SECONDS
    assert patience(100, 50.0) == LEAST_SECONDS
    assert patience(1000, 50.0) == 100.0
    assert patience(10**6, 50.0) == TIMEOUT_SECONDS


def test_load_on_nobody_is_an_error_in_words(tmp_path):
    with pytest.raises(ServerError, match=r"perf_analyzer at 127\.0\.0\.1:\d+ ended with status"):
        PerfAnalyzer(TEXTS, tmp_path).turn(f"127.0.0.1:{Ports.free().grpc}", 1, 1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--rounds", "0"], "--rounds is 0; give a whole number, at least 1"),
        (["--concurrency", "1", "0"], "--concurrency is 0"),
        (["--seconds", "nan"], "--seconds is nan"),
        (["--width", "2/5"], "of 12 attention heads"),
        (["--width", "1/2,1/3"], "give one"),
        (["--width", "1/2", "--bundle", "export"], "give --bundle a pruned bundle"),
        (["--baseline_bundle", "export"], "give both"),
        (["--texts", "absent.txt"], "cannot read absent.txt"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_starts(words, message):
    with pytest.raises(InputError, match=message):
        main(words)


def test_a_file_without_texts_is_refused_by_line(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="has no rows"):
        main(["--texts", str(path)])
    path.write_text("裁员\n \t标签\n", encoding="utf-8")
    with pytest.raises(DatasetError, match=r"texts\.txt:2: text ' ' has only white space"):
        main(["--texts", str(path)])
