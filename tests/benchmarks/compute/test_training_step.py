"""The comparison of step times: its arithmetic, what it refuses, and a short run of our side."""

import json
import sys

import pytest

from benchmarks.compute.training_step import check_same_model, check_torch, main, make_batch, summarise
from pipeline.errors import ClassifierError, EnvironmentFault, InputError
from tests.conftest import run_command


def test_the_ratio_is_that_of_the_medians_and_its_range_that_of_the_pairs():
    turns = {
        "paddle": [[0.010, 0.012, 9.0], [0.010, 0.011, 0.012]],
        "torch": [[0.020, 0.020, 0.020], [0.030, 0.010, 0.020]],
    }
    assert summarise(turns) == {"paddle_ms": 11.5, "torch_ms": 20.0, "ratio": 0.575, "pair_ratios": [0.6, 0.55]}
    assert summarise({"paddle": [[0.010]]}) == {"paddle_ms": 10.0}


def test_libraries_that_compute_something_else_are_not_compared():
    class Answered:
        def __init__(self, loss):
            self.about = {"losses": {"64": 113.0, "128": loss}}

    check_same_model([Answered(113.0), Answered(113.001)])
    with pytest.raises(ClassifierError, match="different losses for the same batch of length 128"):
        check_same_model([Answered(113.0), Answered(114.0)])


def test_what_cannot_be_measured_is_refused_before_anything_starts(tmp_path):
    with pytest.raises(InputError, match=r"config\.json: .*No such file"):
        make_batch(tmp_path)
    (tmp_path / "config.json").write_text('{"vocab_size": 10}')
    with pytest.raises(InputError, match=r"config\.json: 'hidden_size'"):
        make_batch(tmp_path)
    with pytest.raises(InputError, match="--steps is 0; give a whole number, at least 1"):
        main(["--model_dir", str(tmp_path), "--steps", "0"])
    with pytest.raises(EnvironmentFault, match="does not run"):
        check_torch(str(tmp_path / "python"))
    bare = [sys.executable, "-I", "-S"]  # without site-packages there is no torch
    wrapper = tmp_path / "python"
    wrapper.write_text(f'#!/bin/sh\nexec {" ".join(bare)} "$@"\n')
    wrapper.chmod(0o755)
    with pytest.raises(EnvironmentFault, match="lacks torch or transformers"):
        check_torch(str(wrapper))


def test_our_side_runs_alone_and_says_that_the_other_was_skipped(checkpoint):
    done = run_command("-m", "benchmarks.compute.training_step", "--model_dir", checkpoint, "--pairs", 1, "--steps", 2)
    assert "PyTorch is skipped" in done.stderr
    *table, last = done.stdout.splitlines()
    assert [line.split()[-1] for line in table[1:]] == ["skipped", "skipped"]
    result = json.loads(last)
    assert result["32x64"]["paddle_ms"] > 0
    assert result["paddle"]


def test_a_worker_that_fails_ends_the_run_with_a_word(tmp_path):
    (tmp_path / "config.json").write_text('{"vocab_size": 10, "hidden_size": 4}')
    done = run_command("-m", "benchmarks.compute.training_step", "--model_dir", tmp_path, check=False)
    assert done.returncode == 1
    assert "error: the process of paddle ended with status" in done.stderr
