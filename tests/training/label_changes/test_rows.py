"""Dataset folders whose rows follow the labels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.files.dataset import read_examples, read_labels, write_labels
from pipeline.labels.hierarchy import LabelHierarchy
from tests.training.label_changes.small import ORGANISED, write_small_checkpoint
from training.label_changes.changes import read_change
from training.label_changes.rows import rewrite_dataset
from training.labels import LabelOptions, change_labels

TRAIN = (
    "一\t组织,组织##罢工\n",
    "二\t组织##裁员,产品##发布\n",
    "三\t财经\n",
    "四\t组织\n",
    "四\t财经\n",
    "五\t财经,组织\n",
)
DEV = ("六\t财经\n", "七\t产品\n")


def write_dataset(folder, train=TRAIN, dev=DEV, data="八\n"):
    folder.mkdir()
    write_labels(folder / "label.txt", LabelHierarchy(ORGANISED))
    for name, lines in (("train.txt", train), ("dev.txt", dev), ("data.txt", data)):
        if lines:
            (folder / name).write_text("".join(lines), encoding="utf-8")
    return folder


def rows(folder, name="train.txt"):
    return (folder / name).read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(
    "change, expected",
    [
        (
            ["move", "组织##罢工", "产品"],
            [
                "一\t产品##罢工,产品",
                "二\t组织,组织##裁员,产品,产品##发布",
                "三\t财经",
                "四\t组织",
                "四\t财经",
                "五\t组织,财经",
            ],
        ),
        (
            ["drop", "组织"],
            ["一\t", "二\t产品,产品##发布", "三\t财经", "四\t", "四\t财经", "五\t财经"],
        ),
        (
            ["merge", "财经", "组织"],
            ["一\t组织,组织##罢工", "二\t组织,组织##裁员,产品,产品##发布", "三\t组织", "四\t组织", "五\t组织"],
        ),
    ],
    ids=lambda value: " ".join(value) if "\t" not in str(value) else "",
)
def test_rows_follow_their_deepest_labels(change, expected, tmp_path):
    source = write_dataset(tmp_path / "data")
    written = rewrite_dataset(source, tmp_path / "new", [read_change(change)])
    assert rows(tmp_path / "new") == expected
    assert list(written.hierarchy.labels) == rows(tmp_path / "new", "label.txt")
    assert not (tmp_path / "new" / "test.txt").exists()
    assert rows(tmp_path / "new", "data.txt") == ["八"]
    said = "train.txt: 2 rows kept no label, and now belong nowhere"
    assert (said in written.notes) == (change[0] == "drop")
    assert ("train.txt: 1 row became equal to an earlier one and left out" in written.notes) == (change[0] == "merge")


def test_a_row_has_to_keep_a_label_and_negatives_stay_what_they_were(tmp_path):
    source = write_dataset(tmp_path / "data", dev=(*DEV, "无\t\n"), data="")
    written = rewrite_dataset(source, tmp_path / "new", [read_change(["drop", "产品"])])
    assert (
        rows(tmp_path / "new", "dev.txt") == ["六\t财经", "七\t", "无\t"]
        and not (tmp_path / "new" / "data.txt").exists()
    )
    assert "dev.txt: 1 row kept no label, and now belong nowhere" in written.notes
    both = [read_change(["drop", "产品"]), read_change(["drop", "财经"])]
    with pytest.raises(InputError, match="dev.txt: no row would keep a label"):
        rewrite_dataset(source, tmp_path / "other", both)
    assert not (tmp_path / "other").exists()


def test_a_dataset_is_rewritten_beside_itself_alone(tmp_path):
    model, source = write_small_checkpoint(tmp_path / "checkpoint"), write_dataset(tmp_path / "data")
    options = {"change": ("drop", "财经"), "params_path": model, "output_path": tmp_path / "changed"}

    def change(target, **further):
        return change_labels(LabelOptions(**options, dataset_dir=source, dataset_output_dir=target, **further))

    with pytest.raises(InputError, match="--dataset_output_dir .*data holds .*label.txt|which is read"):
        change(source)
    with pytest.raises(InputError, match="which is read"):
        change(source, overwrite=True)
    with pytest.raises(InputError, match="are both"):
        change(tmp_path / "changed")
    assert not (tmp_path / "changed").exists()
    after = change(tmp_path / "new")
    assert after.record.options["dataset_dir"] == str(tmp_path / "new")
    assert read_labels(tmp_path / "new" / "label.txt").labels == after.hierarchy.labels
    with pytest.raises(InputError, match="holds a dataset already"):
        change(tmp_path / "new")
    change(tmp_path / "new", overwrite=True)
    (source / "label.txt").write_text("组织\n", encoding="utf-8")
    with pytest.raises(InputError, match="does not fit the model"):
        change(tmp_path / "newer")


@given(st.lists(st.sets(st.sampled_from(ORGANISED), min_size=1), min_size=1, max_size=8))
def test_rows_are_closed_and_say_what_they_said(tmp_path_factory, labels):
    folder = tmp_path_factory.mktemp("random")
    lines = [f"文{number}\t{','.join(sorted(each))}\n" for number, each in enumerate(labels)]
    source = write_dataset(folder / "data", (*lines, "末\t产品\n"))
    changes = [["move", "组织##罢工", "产品"], ["merge", "组织##裁员", "产品"], ["rename", "财经", "经济"]]
    hierarchy = rewrite_dataset(source, folder / "new", list(map(read_change, changes))).hierarchy
    new = {
        "组织": "组织",
        "组织##裁员": "产品",
        "组织##罢工": "产品##罢工",
        "组织##罢工##全国": "产品##罢工##全国",
        "产品": "产品",
        "产品##发布": "产品##发布",
        "财经": "经济",
    }
    for example, own in zip(read_examples(folder / "new" / "train.txt", hierarchy), labels):
        deepest = {each for each in own if not any(other.startswith(f"{each}##") for other in own)}
        assert set(example.labels) == hierarchy.with_ancestors(new[each] for each in deepest)
