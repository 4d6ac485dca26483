"""What frozen layers make of texts is computed once, and the run is the same as if it were computed in each epoch."""

import errno
import os

import numpy as np
import paddle
import pytest

import training.loop.frozen_layers
from pipeline.compute.batching import pad
from tests.conftest import first_rows
from tests.training.loop.test_resume import interrupt_after, parameters, run
from tests.training.model.tiny_bert import LAYERS, write_hugging_face_folder
from training.checkpoint.files import read_checkpoint
from training.loop.distributed import ProcessGroup
from training.loop.frozen_layers import FrozenLayers, NotKept, keep_states
from training.loop.options import LoopOptions
from training.model.encoders import freeze_layers, model_logits
from training.model.folders import load_encoder
from training.model.narrowing import encoder_layers
from training.model.pooling import pool_in_last_layer

ROWS = [
    np.array(row)
    for row in ([2, 5, 6, 3], [2, 3], [2, 7, 8, 9, 10, 5, 3], [2, 0, 6, 3], [2, 6, 3])  # one holds the padding token
]


@pytest.fixture(params=["first", "mean"])
def model(request, tmp_path):
    folder = write_hugging_face_folder(tmp_path / "tiny")
    (tmp_path / "tokeniser").mkdir()
    model = load_encoder(folder, 3, tmp_path / "tokeniser")
    model.config.pooling = request.param
    assert pool_in_last_layer(model)
    return model


@pytest.mark.parametrize("count", range(1, LAYERS + 1))
def test_states_and_logits_are_those_of_the_model(model, tmp_path, count):
    freeze_layers(model, count)
    kept = FrozenLayers(model, count, ROWS, tmp_path, 1)
    reference = []
    hook = encoder_layers(model)[count - 1].register_forward_post_hook(lambda *call: reference.append(call[2].numpy()))
    input_ids = pad(ROWS)
    expected = model_logits(model, input_ids, np.zeros_like(input_ids))
    hook.remove()
    for row, state, whole in zip(ROWS, kept.states(np.arange(len(ROWS))), reference[0]):
        tokens = 1 if count == LAYERS else len(row)
        assert state[:tokens] == pytest.approx(whole[:tokens], abs=1e-3)
        assert not state[tokens:].any()
    assert kept.logits(np.array([4, 2, 0])).numpy() == pytest.approx(expected[[4, 2, 0]], abs=5e-3)
    assert kept.all_logits(2) == pytest.approx(expected[2:], abs=5e-3)


def test_where_they_cannot_be_kept_a_line_says_why(model, tmp_path, monkeypatch, capsys):
    def kept(group=None, **options):
        chosen = LoopOptions(**{"freeze_layers": 1, **options})
        states = keep_states(model, chosen, ROWS, tmp_path, group or ProcessGroup(), 64)
        return states, capsys.readouterr().out

    freeze_layers(model, 1)
    assert kept()[1] == "what the frozen layers make of 5 texts is kept: 0 MB of disk until training ends\n"
    assert not [path for path in tmp_path.iterdir() if path.is_file()]
    for quiet in ({"freeze_layers": None}, {"freeze_layers": 0}, {"frozen_gigabytes": 0.0}, {"epochs": 1}):
        assert kept(**quiet) == (None, "")
    states, said = kept(token_dropout=0.1)
    assert states is None and said.endswith("is computed in each epoch: --token_dropout hides other tokens each time\n")
    assert kept(ProcessGroup(0, 2))[1].endswith("several processes train\n")
    assert kept(ProcessGroup(1, 2)) == (None, "")
    assert "0 MB, and --frozen_gigabytes allows 0 MB" in kept(frozen_gigabytes=1e-9)[1]

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        assert "gives no such file: No space left on device" in kept()[1]
    with monkeypatch.context() as patch:
        patch.setattr(training.loop.frozen_layers, "SHARE_OF_DISK", 0)
        assert "half of the free disk is 0 MB" in kept()[1]
    encoder_layers(model)[0].norm2.weight.set_value(np.full(8, 1e6, np.float32))
    assert kept()[1].endswith("it is too large for float16\n")
    with pytest.raises(NotKept):
        FrozenLayers(model, 1, ROWS, tmp_path, 1)


@pytest.fixture(scope="module")
def small_dataset(sample_dataset, tmp_path_factory):
    return first_rows(sample_dataset, tmp_path_factory.mktemp("small") / "data", train=95, dev=30)


OPTIONS = ("--device", "cpu", "--model_name", "scratch-tiny", "--learning_rate", "5e-3", "--batch_size", "8")
OPTIONS = (*OPTIONS, "--epochs", "2", "--thresholds", "global")


@pytest.mark.parametrize("layers", [1, 2])
def test_a_run_learns_the_same(small_dataset, tmp_path, capsys, layers):
    for gigabytes in (0, 1):
        options = (*OPTIONS, "--freeze_layers", layers, "--frozen_gigabytes", gigabytes)
        run(small_dataset, tmp_path / f"of_{gigabytes}", *options)
    losses = [float(line.split()[3].rstrip(",")) for line in capsys.readouterr().out.splitlines() if "loss" in line]
    assert losses[:2] == pytest.approx(losses[2:], abs=0.002)
    first, second = (read_checkpoint(tmp_path / f"of_{each}").record.metrics["dev"]["micro_f1"] for each in (0, 1))
    assert first == pytest.approx(second, abs=0.01) and first > 0
    frozen = [paddle.load(str(tmp_path / f"of_{each}" / "model_state.pdparams")) for each in (0, 1)]
    name = "ernie.encoder.layers.0.linear1.weight"
    assert (np.asarray(frozen[0][name]) == np.asarray(frozen[1][name])).all()


def test_it_resumes_to_the_same_parameters(small_dataset, tmp_path, monkeypatch):
    options = (*OPTIONS, "--freeze_layers", 1, "--save_steps", 4)
    run(small_dataset, tmp_path / "whole", *options)
    for steps in (6, 15):  # in the first epoch; in the last
        interrupt_after(steps, small_dataset, tmp_path / "stopped", monkeypatch, *options, "--resume")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == []
    run(small_dataset, tmp_path / "stopped", *options, "--resume")
    assert parameters(tmp_path / "stopped") == parameters(tmp_path / "whole")
