"""Labels that are added by their examples: found in texts like these, all others as they were, to the bit."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pipeline.errors import DatasetError, InputError
from pipeline.files.bundle import Bundle
from pipeline.files.dataset import read_examples, read_labels
from pipeline.predictor import Predictor
from tests.conftest import run_in_process
from tests.training.label_changes.small import write_small_checkpoint
from training import labels
from training.adding.planes import curve, discriminant, logit, machine
from training.checkpoint.classifier import load_classifier
from training.checkpoint.files import read_checkpoint
from training.export_model import ExportOptions, export
from training.labels import LabelOptions, change_labels

OLD = ("组织", "组织##裁员", "财经")
WHO = "甲乙丙丁戊己庚辛"
TRAIN = [f"{who}公司宣布裁员{count}人\t组织##裁员" for who in WHO for count in "三四五"]
TRAIN += [f"{who}的股价上涨{count}成\t财经" for who in WHO for count in "三四五"]
EXAMPLES = [f"{who}厂工人罢工{count}天\t组织##罢工" for who, count in zip(WHO, "一二三四五六七八")]
NEW = "组织##罢工"


def written(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture
def options(tmp_path):
    """Of a linear model without a use, its dataset, and eight examples of a label that it lacks."""
    data = tmp_path / "data"
    data.mkdir()
    for name, lines in (("label", OLD), ("train", TRAIN), ("dev", TRAIN[:2]), ("test", TRAIN[2:4])):
        written(data / f"{name}.txt", lines)
    model = write_small_checkpoint(
        tmp_path / "checkpoint",
        OLD,
        encoder=False,
        texts=[line.split("\t")[0] for line in (*TRAIN, *EXAMPLES)],
        data={"label_rows": [24, 24, 24]},
        decoding={"policy": "top_down"},
    )
    return {
        "change": ("add", NEW),
        "params_path": model,
        "output_path": tmp_path / "grown",
        "examples": written(tmp_path / "new.txt", EXAMPLES),
        "dataset_dir": data,
        "dataset_output_dir": tmp_path / "grown_data",
    }


def test_a_label_is_found_in_texts_like_its_examples_and_others_score_as_before(options):
    after = change_labels(LabelOptions(**options))
    assert after.hierarchy.labels == (*OLD, NEW)
    old, new = (load_classifier(path, "cpu", None, 8) for path in (options["params_path"], options["output_path"]))
    texts = ["壬厂工人罢工九天", "壬公司宣布裁员九人", "壬的股价上涨九成"]
    scores = new.logits(texts)
    assert np.array_equal(scores[:, : len(OLD)], old.logits(texts))
    decoded = new.decoder.decode(scores)
    assert decoded.selected[:, -1].tolist() == [True, False, False]
    # The policy is top_down, and the parent of random weights knows nothing: the new label brings it along.
    assert decoded.selected[0, 0]

    record = after.record
    assert record.decoding.leading == (NEW,) and record.data["label_rows"] == [24, 24, 24, 8]
    assert record.label_history[0]["changes"] == [["add", NEW]] and record.metrics == {}
    grown = options["dataset_output_dir"]
    hierarchy = read_labels(grown / "label.txt")
    rows = list(read_examples(grown / "train.txt", hierarchy))
    assert len(rows) == len(TRAIN) + len(EXAMPLES) and rows[-1].labels == (0, 3)
    assert (grown / "dev.txt").read_text(encoding="utf-8").count("\n") == 2


def test_what_leads_follows_later_changes(options):
    after = change_labels(LabelOptions(**options))
    renamed = options["output_path"].with_name("renamed")
    change = LabelOptions(change=("rename", "组织", "机构"), params_path=after.path, output_path=renamed)
    assert change_labels(change).record.decoding.leading == ("机构##罢工",)
    dropped = LabelOptions(
        change=("drop", NEW), params_path=after.path, output_path=options["output_path"].with_name("d")
    )
    assert change_labels(dropped).record.decoding.leading == ()


def test_several_labels_are_added_at_once_parents_first(options):
    more = [line.replace(NEW, "社会##游行").replace("工人罢工", "居民游行") for line in EXAMPLES]
    written(options["examples"], EXAMPLES + more)
    change = ("add", "社会##游行", "社会", NEW)
    after = change_labels(LabelOptions(**{**options, "change": change}))
    assert after.hierarchy.labels == (*OLD, "社会", "社会##游行", NEW) or set(after.hierarchy.labels[3:]) == set(
        change[1:]
    )
    assert after.record.data["label_rows"][3:] == [8, 8, 8]


def test_a_long_row_that_looks_like_the_examples_is_shown_cut_in_quotes(options, capsys):
    strike = f"壬厂工人罢工九天，{'要求提高工资，' * 10}"
    written(options["dataset_dir"] / "train.txt", [*TRAIN, f"{strike}\t财经"])
    change_labels(LabelOptions(**options))
    shown = f"line {len(TRAIN) + 1} {strike[:39] + '…'!r}"
    assert f"look like {NEW!r}: {shown}; should they have it" in capsys.readouterr().out


def test_a_text_that_training_has_gets_the_label_there_too(options, capsys):
    written(options["examples"], [*EXAMPLES, f"{TRAIN[5].split(chr(9))[0]}\t{NEW}"])
    change_labels(LabelOptions(**options))
    grown = options["dataset_output_dir"]
    row = list(read_examples(grown / "train.txt", read_labels(grown / "label.txt")))[5]
    assert row.labels == (0, 1, 3)
    assert "1 row had the text of an example and got its labels, too: line 6 first" in capsys.readouterr().out


@pytest.mark.parametrize(
    "lines, change, said",
    [
        (
            [*EXAMPLES, "甲厂工人罢工一天\t财经"],
            (NEW,),
            r"new.txt:9: .* is also in line 1, and '组织##罢工' in one of",
        ),
        (
            [*EXAMPLES, "壬厂\t组织##罢功"],
            (NEW,),
            "new.txt:9: '组织##罢功' is no label of the model, and none to be added",
        ),
        (
            [*EXAMPLES, f"{TRAIN[1].split(chr(9))[0]}\t{NEW}"],
            (NEW,),
            r"new.txt:9: .* is also in .*dev.txt:2, which measures",
        ),
        ([*EXAMPLES, f"{TRAIN[3].split(chr(9))[0]}\t{NEW}"], (NEW,), r"new.txt:9: .* is also in .*test.txt:2, which"),
        (EXAMPLES[:1], (NEW,), "'组织##罢工' has 1 example, too few to judge by, and train.txt has fewer than 3"),
        (["壬厂工人罢工九天"], (NEW,), "has no text with '组织##罢工'; write at least one"),
        (EXAMPLES, ("组织##裁员",), "there is a label '组织##裁员' already"),
        (EXAMPLES, ("社会##游行",), "has no parent: add '社会'"),
        (EXAMPLES, (NEW, NEW), "named twice"),
        (EXAMPLES, (), "add takes the paths"),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_told_and_nothing_is_written(lines, change, said, options):
    written(options["examples"], lines)
    with pytest.raises((InputError, DatasetError), match=said):
        change_labels(LabelOptions(**{**options, "change": ("add", *change)}))
    assert not options["output_path"].exists() and not options["dataset_output_dir"].exists()


def test_options_that_do_not_go_together_are_refused(options, tmp_path):
    with pytest.raises(InputError, match="give --examples"):
        change_labels(LabelOptions(**{**options, "examples": None}))
    with pytest.raises(InputError, match="--examples are of labels that are added"):
        change_labels(LabelOptions(**{**options, "change": ("drop", "财经")}))
    both = written(tmp_path / "changes.txt", [f"add\t{NEW}", "drop\t财经"])
    with pytest.raises(InputError, match="by themselves"):
        change_labels(LabelOptions(**{**options, "change": (), "changes": both}))


def test_the_command_tells_what_the_examples_say(options):
    written(options["examples"], EXAMPLES[:4])
    words = [f"--{name}={value}" for name, value in options.items() if name != "change"]
    done = run_in_process(labels.main, "add", NEW, *words)
    assert done.returncode == 0, done.stderr
    assert f"{NEW}: " in done.stdout and "of 4 examples would be found unseen" in done.stdout
    assert f"'{NEW}' has 4 examples, which is little" in done.stdout
    assert "dev.txt has no row of it" in done.stdout


def test_what_is_said_of_an_example_is_said_without_it():
    random = np.random.default_rng(0)
    given = np.arange(60) < 6
    features = random.normal(size=(60, 4)) + 2 * given[:, None]
    plane = discriminant(features, given)
    assert np.allclose((features @ plane.weights + plane.offset)[~given], plane.unseen[~given])
    for row in range(6):
        others = np.arange(60) != row
        without = discriminant(features[others], given[others])
        assert np.isclose(features[row] @ without.weights + without.offset, plane.unseen[row])
    seen = machine(features, given)
    assert not np.allclose(features @ seen.weights + seen.offset, seen.unseen)


def test_a_margin_that_speaks_against_its_label_does_not_count():
    given = np.arange(100) < 10
    told = np.where(given, 1.0, -1.0) + np.random.default_rng(0).normal(size=100) / 10
    made = curve(np.stack([told, -told], axis=1), given, 20, 0.3)
    assert made.factors[0] > 0 and made.factors[1] >= 0
    scores = made(np.stack([told, -told], axis=1))
    assert ((scores >= logit(0.3)) == given).all()


def test_every_runtime_scores_other_labels_as_before(checkpoint, bundle_path, sample_dataset, tmp_path):
    old = read_checkpoint(checkpoint)
    top = next(label for label in old.hierarchy.labels if "##" not in label)
    new = f"{top}##新的"
    examples = written(tmp_path / "new.txt", [f"{who}队在月球上种了{count}棵树\t{new}" for who, count in zip(WHO, WHO)])
    after = change_labels(
        LabelOptions(
            change=("add", new),
            params_path=checkpoint,
            output_path=tmp_path / "grown",
            examples=examples,
            dataset_dir=sample_dataset,
            dataset_output_dir=tmp_path / "data",
        )
    )
    bundle = export(ExportOptions(params_path=after.path, output_path=tmp_path / "export"))
    assert json.loads((bundle.path / "bundle.json").read_text(encoding="utf-8"))["format_version"] == 6
    texts = [line.split("\t")[0] for line in (sample_dataset / "dev.txt").read_text(encoding="utf-8").splitlines()]
    for runtime in ("onnxruntime", "openvino", "paddle"):
        before, grown = (Predictor(each, runtime) for each in (Bundle(bundle_path), bundle))
        assert np.array_equal(before.logits(texts), grown.logits(texts)[:, :-1]), runtime
        found = grown.predict(["壬队在月球上种了壬棵树"])[0]
        assert {label for label, _ in found} >= {top, new}
    assert "Added without training" in (bundle.path / "README.md").read_text(encoding="utf-8")
