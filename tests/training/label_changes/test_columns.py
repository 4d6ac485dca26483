"""What is written: of labels that stay every parameter, threshold and count, and the way here."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import BundleError, InputError
from pipeline.files.bundle import Bundle
from pipeline.predictor import Predictor
from pipeline.text.linear import LinearPart
from tests.conftest import run_in_process
from tests.training.label_changes.small import ORGANISED, TEXTS, write_small_checkpoint
from training import labels
from training.checkpoint.files import read_checkpoint
from training.export_model import ExportOptions, export
from training.labels import LabelOptions, change_labels
from training.linear.features import learn_tables
from training.model.parameters import read_parameters


def changed(folder, *words, **further):
    output = folder.with_name("changed")
    return change_labels(LabelOptions(change=words, params_path=folder, output_path=output, **further))


@pytest.mark.parametrize("kind", [{"encoder": True}, {"encoder": True, "linear": True}, {"encoder": False}], ids=str)
def test_what_stays_keeps_its_parameters(kind, tmp_path):
    numbers = [1 + column / 10 for column in range(len(ORGANISED))]
    calibration = {"low": numbers, "high": numbers[::-1], "offset": numbers}
    folder = write_small_checkpoint(tmp_path / "checkpoint", **kind, calibration=calibration)
    before, after = read_checkpoint(folder), changed(folder, "drop", "组织##罢工")
    columns = [ORGANISED.index(label) for label in after.hierarchy.labels]
    assert after.hierarchy.labels == ("组织", "组织##裁员", "产品", "产品##发布", "财经")
    assert after.record.thresholds == tuple(before.record.thresholds[column] for column in columns)
    assert after.record.calibration == before.record.calibration.of_columns(columns)
    assert after.record.calibration.offset == tuple(numbers[column] for column in columns)
    assert after.record.data["label_rows"] == columns
    assert after.record.metrics == {}
    if kind["encoder"]:
        old, new = read_parameters(folder), read_parameters(after.path)
        assert old.keys() == new.keys()
        for name, array in old.items():
            expected = array[..., columns] if name.startswith("classifier") else array
            assert np.array_equal(new[name], expected) and new[name].dtype == array.dtype
        assert len(json.loads((after.path / "config.json").read_text())["id2label"]) == len(columns)
    if before.record.encoder_weight is not None:
        assert after.record.encoder_weight == before.record.encoder_weight
        old, new = (LinearPart.read(each.path / "linear.npz").logits(TEXTS) for each in (before, after))
        assert np.array_equal(old[:, columns], new)


@given(st.integers(1, 90), st.data())
def test_linear_scores_do_not_depend_on_the_other_labels(count, data):
    tables, rarity = learn_tables(TEXTS, count)
    random = np.random.default_rng(count)
    part = LinearPart(tables, rarity, random.normal(size=(len(rarity), count)), random.normal(size=count))
    kept = sorted(data.draw(st.sets(st.integers(0, count - 1), min_size=1)))
    longer = ["".join(TEXTS), *TEXTS]
    assert np.array_equal(part.logits(longer)[:, kept], part.of_columns(kept).logits(longer))


def test_renaming_and_moving_change_no_parameter_file(tmp_path):
    folder = write_small_checkpoint(tmp_path / "checkpoint", linear=True)
    after = changed(folder, "rename", "组织", "机构")
    assert after.hierarchy.labels[:4] == ("机构", "机构##裁员", "机构##罢工", "机构##罢工##全国")
    assert after.record.metrics == {"dev": {"micro_f1": 0.5}}
    for name in ("model_state.pdparams", "linear.npz", "config.json"):
        assert (folder / name).read_bytes() == (after.path / name).read_bytes()
    assert changed(folder, "move", "财经", "产品").record.metrics == {}


def test_one_threshold_for_all_stays_one(tmp_path):
    folder = write_small_checkpoint(tmp_path / "checkpoint", thresholds=[0.25])
    assert changed(folder, "drop", "财经").record.thresholds == (0.25,)


def test_the_history_says_what_was_done_when_and_to_which_model(tmp_path):
    first = write_small_checkpoint(tmp_path / "checkpoint")
    second = change_labels(LabelOptions(change=("drop", "财经"), params_path=first, output_path=tmp_path / "second"))
    changes = tmp_path / "changes.txt"
    changes.write_text("move\t组织##罢工\t产品\nmerge\t组织##裁员\t组织\n", encoding="utf-8")
    third = change_labels(LabelOptions(changes=changes, params_path=second.path, output_path=tmp_path / "third"))
    one, two = third.record.label_history
    assert one["changes"] == [["drop", "财经"]] and one["from"] == read_checkpoint(first).identity
    assert two["changes"] == [["move", "组织##罢工", "产品"], ["merge", "组织##裁员", "组织"]]
    assert two["from"] == second.identity and two["when"].endswith("+00:00")
    assert third.hierarchy.labels == ("组织", "产品##罢工", "产品##罢工##全国", "产品", "产品##发布")


def test_what_is_there_is_not_lost(tmp_path):
    folder = write_small_checkpoint(tmp_path / "checkpoint")
    with pytest.raises(InputError, match="--output_path"):
        change_labels(LabelOptions(change=("drop", "财经"), params_path=folder, output_path=folder))
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").touch()
    with pytest.raises(InputError, match="'thesis.txt', which would be lost"):
        change_labels(LabelOptions(change=("drop", "财经"), params_path=folder, output_path=other))
    pruned = shutil.copytree(folder, tmp_path / "pruned")
    (pruned / "SHA256SUMS").write_text((pruned / "SHA256SUMS").read_text() + f"{'0' * 64}  bundle.json\n")
    (pruned / "bundle.json").touch()
    with pytest.raises(InputError, match="'bundle.json', which would be lost"):
        change_labels(LabelOptions(change=("drop", "财经"), params_path=folder, output_path=pruned))
    with pytest.raises(BundleError, match="no checkpoint at"):
        change_labels(LabelOptions(change=("drop", "财经"), params_path=tmp_path, output_path=tmp_path / "new"))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("options", [{}, {"change": ("drop", "a"), "changes": "a"}, {"dataset_dir": "data"}], ids=str)
def test_options_that_say_nothing_or_too_much_are_refused(options):
    options = {"change": ("drop", "a"), **options} if "dataset_dir" in options else options
    with pytest.raises(InputError, match="not both|give both"):
        LabelOptions(**options)


def test_the_command_tells_what_it_did(tmp_path):
    folder = write_small_checkpoint(tmp_path / "checkpoint")
    words = ("--params_path", folder, "--output_path", tmp_path / "changed")
    done = run_in_process(labels.main, "merge", "产品##发布", "财经", *words)
    assert done.returncode == 0, done.stderr
    assert "1 change made: 7 labels became 6" in done.stdout and "'财经' keeps its own scores" in done.stdout
    assert "evaluate.py measures the new ones" in done.stdout
    done = run_in_process(labels.main, "move", "产品##发布", "", *words)
    assert done.returncode == 0 and read_checkpoint(tmp_path / "changed").hierarchy.labels[5] == "发布"
    done = run_in_process(labels.main, "drop", "产品发布", *words)
    assert done.returncode == InputError.exit_status
    assert done.stderr.startswith(
        "error: drop '产品发布': the model has no label '产品发布'; did you mean '产品##发布' or "
    )


def test_every_runtime_scores_what_stays_as_before(checkpoint, bundle_path, sample_dataset, tmp_path):
    own = read_checkpoint(checkpoint).hierarchy.labels
    inner = next(label for label in own if any(other.startswith(f"{label}##") for other in own))
    leaf, other = [label for label in own if not any(each.startswith(f"{label}##") for each in own)][:2]
    top = next(label for label in own if "##" not in label and not {leaf, other} & {label} and label != inner)
    changes = tmp_path / "changes.txt"
    changes.write_text(f"merge\t{leaf}\t{other}\ndrop\t{top}\nrename\t{inner}\t新名\n", encoding="utf-8")
    after = change_labels(LabelOptions(changes=changes, params_path=checkpoint, output_path=tmp_path / "changed"))
    bundle = export(ExportOptions(params_path=after.path, output_path=tmp_path / "export"))
    gone = {leaf, *(label for label in own if f"{label}##".startswith(f"{top}##"))}
    columns = [column for column, label in enumerate(own) if label not in gone]
    assert len(bundle.hierarchy) == len(columns) < len(own) and "新名" in bundle.hierarchy.labels
    texts = [line.split("\t")[0] for line in (sample_dataset / "dev.txt").read_text(encoding="utf-8").splitlines()]
    for runtime in ("onnxruntime", "openvino", "paddle"):
        old, new = (Predictor(each, runtime).logits(texts) for each in (Bundle(bundle_path), bundle))
        assert np.array_equal(old[:, columns], new), runtime
    assert bundle.manifest.training["label_history"][0]["changes"][1] == ["drop", top]
    card = (bundle.path / "README.md").read_text(encoding="utf-8")
    assert "## Label changes" in card and "merge" in card
