"""Training that starts from a model of other labels."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.labels.hierarchy import LabelHierarchy
from tests.training.label_changes.small import ORGANISED, write_small_checkpoint
from training.label_changes.starting import fit_classifier, in_words, starting_columns
from training.train import TrainingRun, train

OLD = LabelHierarchy(ORGANISED)
NEW = LabelHierarchy(["产品", "产品##发布", "新", "组织", "组织##减员", "a=b"])


def test_shared_labels_keep_their_columns_and_a_map_names_others():
    assert starting_columns(OLD, NEW, []).tolist() == [4, 5, -1, 0, -1, -1]
    columns = starting_columns(OLD, NEW, ["组织##裁员=组织##减员", "财经=a=b"])
    assert columns.tolist() == [4, 5, -1, 0, 1, 6]
    assert in_words(columns, OLD) == "5 labels start from the checkpoint's rows, 1 are new, and 2 are gone"


@pytest.mark.parametrize("pair", ["组织##裁员", "裁员=组织##减员", "组织##裁员=减员", ""])
def test_a_pair_that_names_no_labels_is_refused(pair):
    with pytest.raises(InputError, match="names no label of the checkpoint and one of label.txt; give OLD=NEW"):
        starting_columns(OLD, NEW, [pair])


def test_a_map_that_can_be_read_in_two_ways_is_refused():
    with pytest.raises(InputError, match="in several ways"):
        starting_columns(LabelHierarchy(["a", "a=b"]), LabelHierarchy(["c", "b=c"]), ["a=b=c"])
    with pytest.raises(InputError, match="from '财经' and from '组织'; choose one"):
        starting_columns(OLD, NEW, ["财经=新", "组织=新"])


def test_the_classifier_has_old_rows_where_there_are_any_and_random_ones_elsewhere():
    paddle = pytest.importorskip("paddle")

    class Model(paddle.nn.Layer):
        def __init__(self):
            super().__init__()
            self.classifier, self.config = paddle.nn.Linear(4, len(OLD)), type("Config", (), {})()

    model = Model()
    weight, bias = model.classifier.weight.numpy(), np.arange(len(OLD), dtype=np.float32)
    model.classifier.bias.set_value(bias)
    columns = starting_columns(OLD, NEW, [])
    fit_classifier(model, columns)
    known = columns >= 0
    assert np.array_equal(model.classifier.weight.numpy()[:, known], weight[:, columns[known]])
    assert np.array_equal(model.classifier.bias.numpy()[known], bias[columns[known]])
    assert np.abs(model.classifier.weight.numpy()[:, ~known]).min() > 0 and model.num_labels == len(NEW)
    with pytest.raises(InputError, match="shares no label"):
        fit_classifier(model, np.full(3, -1))


def test_a_wrong_map_is_told_before_paddle_is_imported(tmp_path):
    folder = write_small_checkpoint(tmp_path / "checkpoint")
    data = tmp_path / "data"
    data.mkdir()
    (data / "label.txt").write_text("".join(f"{label}\n" for label in NEW.labels), encoding="utf-8")
    for name in ("train.txt", "dev.txt"):
        (data / name).write_text("一\t新\n", encoding="utf-8")
    options = {"dataset_dir": data, "model_name": "scratch-tiny", "save_dir": tmp_path / "new"}
    with pytest.raises(InputError, match="--label_map '财经=新的' names no label"):
        train(TrainingRun(**options, init_from_ckpt=folder / "model_state.pdparams", label_map=("财经=新的",)))
    with pytest.raises(InputError, match="give that as well"):
        TrainingRun(**options, label_map=("财经=新",))
