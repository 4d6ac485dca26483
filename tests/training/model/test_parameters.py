"""A checkpoint that somebody sends holds parameters, all that its model has, and runs nothing."""

import json
import pickle
import shutil
from collections import OrderedDict
from fractions import Fraction

import numpy as np
import pytest

from pipeline.errors import BundleError
from pipeline.files.checksums import write_all_checksums
from tests.conftest import run_in_process
from training import export_model, predict, train
from training.checkpoint.files import read_checkpoint
from training.model.folders import load_model
from training.model.parameters import read_parameters


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
def copied(checkpoint, tmp_path):
    folder = tmp_path / "hostile"
    shutil.copytree(checkpoint, folder)
    return folder


def parameters_of(folder):
    with (folder / "model_state.pdparams").open("rb") as stream:
        return pickle.load(stream)


def accompany(folder, intruder):
    """Put something beside the parameters, in their file."""
    write(folder, {**parameters_of(folder), "extra": intruder})
    return "model_state.pdparams holds more than parameters"


def shard(folder, intruder):
    """paddlenlp would prefer the list, and load the file that it names."""
    (folder / "weights.bin").write_bytes(pickle.dumps(intruder))
    listed = {"metadata": {}, "weight_map": {"x": "weights.bin"}}
    (folder / "model_state.pdparams.index.json").write_text(json.dumps(listed))
    return "model_state.pdparams.index.json speaks of parameters in several files"


def shard_safely(folder, intruder):
    """As `shard`, by the other list."""
    shard(folder, intruder)
    (folder / "model_state.pdparams.index.json").rename(folder / "model.safetensors.index.json")
    return "model.safetensors.index.json speaks of parameters in several files"


def write(folder, parameters):
    (folder / "model_state.pdparams").write_bytes(pickle.dumps(parameters, protocol=4))
    write_all_checksums(folder)


@pytest.mark.parametrize("prepare", [accompany, shard, shard_safely])
def test_no_way_of_using_a_checkpoint_runs_what_it_holds(prepare, copied, witness, sample_dataset, tmp_path):
    message = prepare(copied, Intruder(witness))
    write_all_checksums(copied)
    data = ("--dataset_dir", sample_dataset, "--device", "cpu")
    for command, words in (
        (predict, (*data, "--params_path", copied)),
        (export_model, ("--params_path", copied, "--output_path", tmp_path / "export")),
        (train, (*data, "--save_dir", tmp_path / "new", "--model_name", copied, "--epochs", 1)),
    ):
        done = run_in_process(command.main, *words)
        assert done.returncode == 2, done.stderr
        assert message in done.stderr
    assert not witness.exists()


@pytest.mark.parametrize(
    "content",
    [
        {"w": np.ones((2, 3), np.float32), "StructuredToParameterName@@": {"w": "linear_0.w_0"}},
        OrderedDict(w=np.arange(3, dtype=np.float16), scale=np.ones((), np.float64)),
    ],
)
def test_arrays_are_let_through(content, tmp_path):
    for protocol in (2, 4, 5):
        (tmp_path / "model_state.pdparams").write_bytes(pickle.dumps(content, protocol))
        assert set(read_parameters(tmp_path)) == set(content) - {"StructuredToParameterName@@"}


@pytest.mark.parametrize("content", [b"", b"not a pickle", pickle.dumps(print), b"\x80\x04cos\nsystem\n."])
def test_anything_else_is_refused(content, tmp_path):
    (tmp_path / "model_state.pdparams").write_bytes(content)
    with pytest.raises(BundleError, match="holds more than parameters, or is damaged"):
        read_parameters(tmp_path)


class FieldsOfObjects:
    """A dtype whose one field is an object: its bytes would be taken for an address."""

    def __reduce__(self):
        return np.dtype, ("V8", False, True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds list, and no table of parameters"),
        (5, "holds int, and no table"),
        ({"w": "x"}, "'w' is no parameter but str"),
        ({3: np.ones(2)}, "3 is no parameter"),
        ({"w": np.arange(3)}, "'w' is no parameter but int64 numbers"),
        ({"w": np.array([{"a": 1}], object)}, "values of type 'O8'"),
        ({"w": FieldsOfObjects()}, "values of type 'V8'"),
    ],
)
def test_a_file_of_something_else_is_called_what_it_is(content, message, tmp_path):
    (tmp_path / "model_state.pdparams").write_bytes(pickle.dumps(content))
    with pytest.raises(BundleError, match=message):
        read_parameters(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda whole: {}, r"it lacks ernie\.embeddings\.word_embeddings\.weight, .* and \d+ more$"),
        (lambda whole: dict(list(whole.items())[: len(whole) // 2]), "it lacks ernie"),
        (lambda whole: {k: v for k, v in whole.items() if "classifier" not in k}, "lacks classifier.weight, classifi"),
        (lambda whole: {f"x.{k}": v for k, v in whole.items()}, "it lacks ernie.*; it has too much x.ernie"),
        (lambda whole: {**whole, "y": np.ones(3, np.float32)}, "does not hold the parameters .*: it has too much y$"),
        (
            lambda whole: {**whole, "classifier.bias": np.ones(1, np.float32)},
            r"it has in another shape classifier\.bias \[1\] for \[",
        ),
    ],
)
@pytest.mark.parametrize("width", [Fraction(1), Fraction(1, 2)])
def test_parameters_that_are_not_those_of_the_model_are_refused(change, message, width, checkpoint, copied):
    whole = {name: array for name, array in parameters_of(copied).items() if isinstance(array, np.ndarray)}
    labels = len((copied / "label.txt").read_text(encoding="utf-8").splitlines())
    if width == 1:
        write(copied, whole)
        load_model(copied, labels, width)
    write(copied, change(whole))
    with pytest.raises(BundleError, match=message if width == 1 else "does not hold the parameters"):
        load_model(copied, labels, width)


def test_a_file_that_the_checksums_do_not_list_is_not_read(copied):
    (copied / "added_tokens.json").write_text('{"x": 1}')
    with pytest.raises(BundleError, match="lists no added_tokens.json"):
        read_checkpoint(copied)
