"""What the demo trains on a dataset folder: a pretrained encoder where it is to be had and soon done."""

import subprocess
from types import SimpleNamespace

import pytest

import demo
from pipeline.files.dataset import read_labels
from tests.conftest import PROJECT


@pytest.fixture
def choose(tmp_path, monkeypatch, capsys):
    """The choice for so many rows of so many words, what was said, and what was run."""
    monkeypatch.setattr(demo, "PROJECT", tmp_path)
    monkeypatch.setattr(demo.os, "sched_getaffinity", lambda _: {0, 1})

    def choose(rows, words, status=0):
        (tmp_path / "label.txt").write_text("事件\n")
        (tmp_path / "train.txt").write_text(f"{'字' * words}\t事件\n" * rows)
        ran = []
        run = lambda words, cwd, check: ran.append((words, cwd)) or SimpleNamespace(returncode=status)  # noqa: E731
        monkeypatch.setattr(subprocess, "run", run)
        chosen = demo.choose_training(tmp_path, read_labels(tmp_path / "label.txt"))
        return chosen, capsys.readouterr().out, ran

    return choose


def test_an_encoder_that_is_there_is_taken(choose, tmp_path):
    (tmp_path / demo.ENCODER).mkdir(parents=True)
    (tmp_path / demo.ENCODER / "config.json").touch()
    said = "with build/e5, which is pretrained: about 2 minutes\n"
    assert choose(1000, 4) == (demo.ENCODER_TRAINING, said, [])


def test_an_encoder_that_is_not_there_is_fetched(choose, tmp_path):
    chosen, said, ran = choose(1000, 40)
    assert chosen == demo.ENCODER_TRAINING
    assert said.splitlines()[0] == "build/e5, a pretrained encoder, is fetched"
    assert ran == [(["make", "--no-print-directory", "e5"], tmp_path)]
    assert "e5: $(READY) $(E5)" in (PROJECT / "Makefile").read_text()


def test_without_a_network_it_learns_from_nothing(choose):
    chosen, said, _ = choose(1000, 40, status=2)
    assert chosen == demo.SCRATCH_TRAINING
    assert said.endswith("from nothing: build/e5, which is pretrained, cannot be fetched\n")


def test_what_would_take_long_learns_from_nothing(choose):
    chosen, said, ran = choose(8000, 250)
    assert (chosen, ran) == (demo.SCRATCH_TRAINING, [])
    assert said == "from nothing: build/e5, which is pretrained, would take about 87 minutes\n"
