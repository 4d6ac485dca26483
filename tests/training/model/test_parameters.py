"""A checkpoint that somebody sends holds parameters, and runs nothing."""

import pickle
import shutil
from collections import OrderedDict

import numpy as np
import pytest

from pipeline.errors import BundleError
from pipeline.files.checksums import write_all_checksums
from tests.conftest import run_in_process
from training import export_model, predict, train
from training.model.parameters import check_parameters


class Intruder:
    """What runs a command when it is unpickled."""

    def __init__(self, witness):
        self.witness = witness

    def __reduce__(self):
        return open, (str(self.witness), "w")


@pytest.fixture
def witness(tmp_path):
    return tmp_path / "it ran"


@pytest.fixture
def hostile(checkpoint, tmp_path, witness):
    """A checkpoint with right checksums whose parameters are accompanied."""
    folder = tmp_path / "hostile"
    shutil.copytree(checkpoint, folder)
    with (folder / "model_state.pdparams").open("rb") as stream:
        parameters = pickle.load(stream)
    parameters["extra"] = Intruder(witness)
    with (folder / "model_state.pdparams").open("wb") as stream:
        pickle.dump(parameters, stream)
    write_all_checksums(folder)
    return folder


def test_no_way_of_using_a_checkpoint_runs_what_it_holds(hostile, witness, sample_dataset, tmp_path):
    data = ("--dataset_dir", sample_dataset, "--device", "cpu")
    for command, words in (
        (predict, (*data, "--params_path", hostile)),
        (export_model, ("--params_path", hostile, "--output_path", tmp_path / "export")),
        (train, (*data, "--save_dir", tmp_path / "new", "--model_name", hostile, "--epochs", 1)),
    ):
        done = run_in_process(command.main, *words)
        assert done.returncode == 2, done.stderr
        assert "model_state.pdparams holds more than parameters" in done.stderr
    assert not witness.exists()


@pytest.mark.parametrize(
    "content",
    [
        {"w": np.ones((2, 3), np.float32), "names": {"w": "linear_0.w_0"}},
        OrderedDict(w=np.arange(3, dtype=np.int64), scale=np.float32(2)),
    ],
)
def test_arrays_are_let_through(content, tmp_path):
    for protocol in (2, 4, 5):
        (tmp_path / "model_state.pdparams").write_bytes(pickle.dumps(content, protocol))
        check_parameters(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a pickle", pickle.dumps(print), b"\x80\x04cos\nsystem\n."])
def test_anything_else_is_refused(content, tmp_path):
    (tmp_path / "model_state.pdparams").write_bytes(content)
    with pytest.raises(BundleError, match="holds more than parameters, or is damaged"):
        check_parameters(tmp_path)
