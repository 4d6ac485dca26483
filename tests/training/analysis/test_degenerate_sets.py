"""Data sets in which next to nothing is left to learn: every command says what there is, or why it cannot."""

import json

import pytest

from benchmarks.quality import linear_baseline
from pipeline.errors import InputError
from training import train
from training.analysis import aug, dirty, evaluate, sparse

SETS = {
    "one label": ("a", "aaaa", "aa"),
    "one that occurs": ("abc", "aaaa", "aa"),
    "a label without rows": ("abc", "abab", "ab"),
    "one row of dev": ("ab", "abab", "a"),
    "two rows of train": ("ab", "ab", "ab"),
}
"""The labels, and the label of each row of train and of dev."""


@pytest.mark.parametrize(("labels", "train_rows", "dev_rows"), SETS.values(), ids=SETS)
def test_what_has_little_to_learn_from_is_answered_or_refused(tmp_path, capsys, labels, train_rows, dev_rows):
    (tmp_path / "label.txt").write_text("".join(f"{label}\n" for label in labels))
    (tmp_path / "data.txt").write_text("another text\n")
    for name, rows in (("train", train_rows), ("dev", dev_rows)):
        lines = (f"text {number} of {name}, about {label}\t{label}\n" for number, label in enumerate(rows))
        (tmp_path / f"{name}.txt").write_text("".join(lines))
    data, model = ("--dataset_dir", str(tmp_path)), ("--params_path", str(tmp_path / "checkpoint"), "--device", "cpu")
    how = ("--model_name", "scratch-tiny", "--epochs", "1", "--thresholds", "per_label", "--at_least_one")
    train.main([*data, *how, "--device", "cpu", "--save_dir", str(tmp_path / "checkpoint")])
    linear_baseline.main([*data])
    linear = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert linear["macro_f1"] <= len(set(dev_rows)) / len(labels)
    evaluate.main([*data, *model, "--report", str(tmp_path / "report.html"), "--json", str(tmp_path / "scores.json")])
    absent = len(labels) - len(set(dev_rows))
    assert (f"{absent} of {len(labels)} labels have no row: macro F1 counts each" in capsys.readouterr().out) == (
        absent > 0
    )
    for options in ((), ("--annotate",)):
        sparse.main([*data, *model, *options])
    assert f"sparse.txt: {len(dev_rows)} of {len(dev_rows)} rows" in capsys.readouterr().out
    for method in ("confident", "representer"):
        if len(set(train_rows)) == 1:
            with pytest.raises(InputError, match="have the same labels; a wrong one shows among others"):
                dirty.main([*data, *model, "--method", method])
        else:
            dirty.main([*data, *model, "--method", method])
    aug.main(["--train_path", str(tmp_path / "train.txt"), "--aug_path", str(tmp_path / "more.txt")])
