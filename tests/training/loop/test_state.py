"""What an interrupted run left, read by this version and by one that it was not written by."""

import json

import numpy as np
import paddle
import pytest

from pipeline.errors import InputError
from pipeline.files.checksums import write_all_checksums
from training.loop.state import PROGRESS_FILE, Progress, read_state, write_state

BEGUN = {"--epochs": 10, "--learning_rate": 5e-5, "--warmup": False, "checksum of input 1": "0a"}
"""By a release that had no recipe: these are the defaults of then."""


@pytest.fixture
def state(tmp_path):
    """Reads what BEGUN left, for a run with another identity."""
    path, (model, optimizer) = tmp_path / "checkpoint.resume", network(1.0)
    write_state(path, BEGUN, Progress(step=7), model, optimizer, None)

    def read(**identity):
        model, optimizer = network(0.0)
        progress = read_state(path, {**BEGUN, **identity}, model, optimizer, None)
        assert float(model.weight.mean()) == 1.0
        return progress

    return read


def network(value):
    model = paddle.nn.Linear(2, 2)
    model.weight.set_value(np.full((2, 2), value, np.float32))
    rate = paddle.optimizer.lr.LambdaDecay(1.0, lambda step: 1.0)
    return model, paddle.optimizer.AdamW(rate, parameters=model.parameters())


def test_options_that_came_later_and_are_not_used_change_nothing(state):
    assert state(**{"--head_learning_rate": None, "--early_stop": False, "--trim_vocabulary": "auto"}).step == 7


def test_progress_of_an_earlier_version_may_lack_fields(state, tmp_path):
    path = tmp_path / "checkpoint.resume"
    content = json.loads((path / PROGRESS_FILE).read_text())
    content["progress"] = {"step": 7, "loss_sum": 0.0, "of_no_use_any_more": 1}
    (path / PROGRESS_FILE).write_text(json.dumps(content))
    write_all_checksums(path)
    assert state().step == 7


@pytest.mark.parametrize(
    ("now", "advice"),
    [
        (
            {"--epochs": 6, "--learning_rate": 1e-4, "--warmup": True},
            "--epochs 10, not 6; resume with --epochs 10 --learning_rate 5e-05 and without --warmup, or begin anew",
        ),
        ({"--goldens": "a.txt"}, "--goldens None, not 'a.txt'; resume without --goldens, or begin"),
        (
            {"checksum of input 1": "0b"},
            "checksum of input 1 '0a', not '0b'; resume with the same options and files, or",
        ),
    ],
)
def test_how_to_go_on_is_said(state, now, advice):
    """Nobody has typed what a recipe chose, nor the defaults of an earlier version: their values are named."""
    with pytest.raises(InputError) as refused:
        state(**now)
    assert advice in str(refused.value)


def test_an_option_that_is_gone_is_for_the_version_that_had_it(state, monkeypatch):
    monkeypatch.delitem(BEGUN, "--learning_rate")
    with pytest.raises(InputError, match="another command or version began it; finish it with that, or begin anew"):
        state()
