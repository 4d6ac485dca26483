"""From doccano's JSONL to a dataset folder."""

import json
import random
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import DatasetError, InputError
from tests.conftest import run_command
from tests.doccano import LABELLED, convert, lines, records, write_records
from training import doccano
from training.data.dataset_folder import NewDatasetOptions
from training.data.doccano_lines import label_path, read_records
from training.data.row_collector import Row, closed
from training.doccano import DoccanoOptions, parse_args


def test_the_options_are_those_of_the_doccano_guide():
    defaults = vars(parse_args([]))
    documented = {
        "doccano_file": (Path("doccano.jsonl"),),
        "save_dir": Path("./data"),
        "splits": (0.8, 0.1, 0.1),
        "task_type": "hierarchical",
        "is_shuffle": True,
        "seed": 1000,
        "separator": "##",
    }
    assert {name: defaults[name] for name in documented} == documented


def test_every_shape_of_a_doccano_row_becomes_a_row_with_its_ancestors(tmp_path, capsys):
    source = write_records(
        tmp_path / "doccano.jsonl",
        {"id": 1, "text": "停产裁员6000！", "label": ["组织关系##裁员", "组织行为##罢工"], "Comments": []},
        {"id": 2, "data": "86岁老翁过马路", "label": ["灾害/意外##车祸", "灾害/意外"]},
        {"id": 3, "text": "一人死亡", "labels": [" 人生 ## 死亡 "], "meta": {}, "annotation_approver": None},
        {"text": "召回", "label": "产品行为##召回"},
        {"id": 5, "text": "还没有标注", "label": []},
        {"id": 6, "text": "也没有标注", "label": None},
        "",
    )
    folder = convert(source, tmp_path / "data", "--splits", 1, 0, "--is_shuffle", "false")
    assert sorted(entry.name for entry in folder.iterdir()) == ["data.txt", "label.txt", "train.txt"]
    assert lines(folder, "train.txt") == [
        "停产裁员6000！\t组织关系,组织关系##裁员,组织行为,组织行为##罢工",
        "86岁老翁过马路\t灾害/意外,灾害/意外##车祸",
        "一人死亡\t人生,人生##死亡",
        "召回\t产品行为,产品行为##召回",
    ]
    assert lines(folder, "data.txt") == ["还没有标注", "也没有标注"]
    assert lines(folder, "label.txt") == closed(
        ["人生##死亡", "灾害/意外##车祸", "组织关系##裁员", "组织行为##罢工", "产品行为##召回"]
    )
    assert capsys.readouterr().out == (
        f"{folder}: label.txt 10 labels (by level: 5 + 5), train.txt 4 rows, data.txt 2 texts without labels\n"
    )


def test_a_parent_stands_right_before_its_children_whatever_sorts_between():
    assert closed(["a!", "a##b##c", "a##b!", "a b"]) == ["a", "a##b", "a##b##c", "a##b!", "a b", "a!"]


@pytest.mark.parametrize(
    ("splits", "rows"),
    [
        ((), [80, 10, 10]),
        ((0.7, 0.2, 0.1), [70, 20, 10]),
        ((0.9, 0.1), [90, 10]),
        ((0.996, 0.002, 0.002), [98, 1, 1]),
        ((0.5, 0.5, 0), [50, 50]),
    ],
)
def test_rows_are_shared_out_as_asked_and_none_is_lost(tmp_path, splits, rows):
    source = write_records(tmp_path / "doccano.jsonl", *records(100))
    folder = convert(source, tmp_path / "data", *(("--splits", *splits) if splits else ()))
    written = [lines(folder, name) for name in LABELLED if (folder / name).exists()]
    assert [len(part) for part in written] == rows
    texts = sorted(line.split("\t")[0] for part in written for line in part)
    assert texts == sorted(record["text"] for record in records(100))


def test_the_same_seed_gives_the_same_files_and_another_seed_others(tmp_path):
    source = write_records(tmp_path / "doccano.jsonl", *records(60))
    folders = [convert(source, tmp_path / name, "--seed", seed) for name, seed in (("a", 7), ("b", 7), ("c", 8))]
    first, again, other = ([lines(folder, name) for name in LABELLED] for folder in folders)
    assert first == again != other
    unshuffled = convert(source, tmp_path / "d", "--is_shuffle", "false")
    assert lines(unshuffled, *LABELLED) == [f"{record['text']}\t组织关系,组织关系##裁员" for record in records(60)]


@given(st.lists(st.integers(0, 10), min_size=2, max_size=3).filter(sum), st.integers(0, 500))
def test_counts_are_whole_and_near_their_shares(parts, rows):
    tenths = [part * 10 // sum(parts) for part in parts]
    shares = [part / 10 for part in (10 - sum(tenths[1:]), *tenths[1:])]
    counts = NewDatasetOptions(splits=shares).counts(rows)
    assert sum(counts) == rows
    assert all(abs(count - share * rows) <= len(shares) for count, share in zip(counts, shares))
    assert all(count == 0 for count, share in zip(counts, shares) if not share)
    assert rows < len(shares) or all(counts[place] for place, share in enumerate(shares) if share)


@pytest.mark.parametrize("splits", [(1,), (0.8, 0.1), (0.5, 0.6, -0.1), (0.4, 0.3, 0.2, 0.1)])
def test_shares_that_do_not_make_a_whole_are_refused(splits):
    with pytest.raises(InputError, match="which sum to 1"):
        NewDatasetOptions(splits=splits)


def test_too_few_rows_for_the_files_are_refused(tmp_path):
    source = write_records(tmp_path / "doccano.jsonl", *records(2))
    with pytest.raises(InputError, match=r"2 labelled rows are too few: test\.txt would be empty"):
        convert(source, tmp_path / "data")
    convert(source, tmp_path / "data", "--splits", 0.5, 0.5)


def test_other_separators_become_the_one_of_the_dataset_files(tmp_path):
    source = write_records(tmp_path / "doccano.jsonl", *records(3, "人生 -> 死亡"))
    folder = convert(source, tmp_path / "data", "--separator=->")
    assert lines(folder, "label.txt") == ["人生", "人生##死亡"]


@pytest.mark.parametrize("task_type", ["multi_class", "multi_label"])
def test_flat_tasks_take_labels_as_they_are(tmp_path, task_type):
    rows = [{"text": f"{number}", "label": ["病因->分析"]} for number in range(3)]
    folder = convert(write_records(tmp_path / "d.jsonl", *rows), tmp_path / "data", "--task_type", task_type)
    assert lines(folder, "label.txt") == ["病因->分析"]


def test_a_second_label_is_an_error_for_multi_class_only(tmp_path):
    source = write_records(tmp_path / "d.jsonl", *records(3, "c"), {"text": "两个", "label": ["a", "b"]})
    with pytest.raises(
        DatasetError, match=r"d\.jsonl:4: 2 labels \(a, b\); --task_type multi_class takes one"
    ) as caught:
        list(read_records(source, "multi_class"))
    assert caught.value.line == 4
    convert(source, tmp_path / "data", "--task_type", "hierarchical")


@pytest.mark.parametrize(
    ("label", "task_type", "separator", "reason"),
    [
        ("a###b", "hierarchical", "##", "can be read in two ways.*rename the label in doccano"),
        ("a\tb", "hierarchical", "##", "control character U.0009"),
        ("a\nb", "hierarchical", "##", "control character U.000A"),
        ("a##", "hierarchical", "##", "empty segment"),
        ("->a", "hierarchical", "->", "empty segment"),
        ("", "hierarchical", "##", "the label is empty"),
        ("  ", "multi_label", "##", "the label is empty"),
        ("a##b", "multi_label", "##", "give --task_type hierarchical or rename"),
        ("a##b", "hierarchical", "->", "give --separator '##' or rename"),
        ("a\ud800", "hierarchical", "##", "half of a surrogate pair"),
    ],
)
def test_a_label_that_no_dataset_file_can_hold_is_refused(label, task_type, separator, reason):
    with pytest.raises(InputError, match=reason):
        label_path(label, task_type, separator)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"text": "a", "label": ["x"]', "the line is no JSON.*one object per line"),
        ("[", "the line is no JSON.*one object per line"),
        ("[" * 100_000, "the line is no JSON"),
        ("文本", "the line is no JSON"),
        ('[{"text": "a", "label": []}]', "a JSON object is needed, not .*export from doccano as JSONL"),
        ('{"label": ["x"]}', "there is no 'text' or 'data'"),
        ('{"text": 5, "label": ["x"]}', "'text' is 5; a text is needed"),
        ('{"text": "a", "label": [3]}', r"the labels are \[3\]; a list of label names is needed"),
        ('{"text": "a", "label": [[0, 1, "PER"]]}', "a list of label names is needed"),
        ('{"text": "a", "label": {"x": 1}}', "a list of label names is needed"),
        ('{"text": "a", "label": ["x\\\\,y"]}', "has a backslash at its end or before a comma"),
        ('{"text": "a\\ud83d", "label": ["x"]}', "half of a surrogate pair at character 2"),
        (json.dumps({"text": "长" * 200_001, "label": ["x"]}), "200,001 characters is longer than the limit"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_written(tmp_path, line, reason):
    source = write_records(tmp_path / "doccano.jsonl", *records(5), line)
    with pytest.raises(DatasetError, match=reason) as caught:
        convert(source, tmp_path / "data")
    assert str(caught.value).startswith(f"{source}:6: ")
    assert [entry.name for entry in tmp_path.iterdir()] == ["doccano.jsonl"]


def test_bytes_that_are_not_utf_8_are_named(tmp_path):
    source = tmp_path / "doccano.jsonl"
    source.write_bytes(b'{"text": "a", "label": ["x"]}\n{"text": "\xb2\xe2", "label": ["x"]}\n')
    with pytest.raises(DatasetError, match=r"doccano\.jsonl:2: byte 11 \(0xb2\) is not UTF-8"):
        convert(source, tmp_path / "data")


def test_an_archive_an_empty_and_a_missing_file_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "project.zip", "w") as archive:
        archive.writestr("admin.jsonl", "")
    (tmp_path / "empty.jsonl").touch()
    for name, reason in (
        ("project.zip", "is an archive.*unpack it"),
        ("empty.jsonl", "no row has a label"),
        ("absent.jsonl", "cannot read .*No such file"),
    ):
        with pytest.raises(InputError, match=reason):
            convert(tmp_path / name, tmp_path / "data")


def test_texts_become_single_lines_and_empty_ones_are_left_out(tmp_path, capsys):
    broken = "一\t二\r\n三\u2028四\x85五\x0b六\n"
    source = write_records(
        tmp_path / "doccano.jsonl",
        *records(3),
        {"text": broken, "label": ["x"]},
        {"text": "\ufeff有标记", "label": ["x"]},
        {"text": " \u200b\n", "label": ["x"]},
        {"text": "", "label": []},
    )
    folder = convert(source, tmp_path / "data", "--is_shuffle", "false", "--splits", 1, 0)
    assert lines(folder, "train.txt")[3:] == ["一 二 三 四 五 六\tx", "有标记\tx"]
    notes = capsys.readouterr().err
    assert "note: 1 text held tabs or line breaks, which became spaces" in notes
    assert "note: left out: 2 rows without visible text, the first in line 6" in notes


def test_repetitions_are_dropped_and_contradictions_kept_and_named(tmp_path, capsys):
    source = write_records(
        tmp_path / "doccano.jsonl",
        {"text": "甲", "label": ["a##b"]},
        {"text": "甲\n", "label": ["a", "a##b"]},
        {"text": "甲", "label": ["c"]},
        {"text": "甲", "label": ["c"]},
        {"text": "乙", "label": ["c"]},
        {"text": "丙", "label": []},
        {"text": "丙", "label": []},
    )
    folder = convert(source, tmp_path / "data", "--is_shuffle", "false", "--splits", 0.5, 0.5)
    assert lines(folder, *LABELLED[:2]) == ["甲\ta,a##b", "甲\tc", "乙\tc"]
    assert lines(folder, "data.txt") == ["丙"]
    notes = capsys.readouterr().err
    assert "left out as repeats of another in text and labels: 3 rows" in notes
    assert "1 row with a text that stands elsewhere with other labels; such rows are kept, in the same file" in notes
    assert f"{source}:3: '甲' is c, and a,a##b in {source}:1" in notes


def test_a_folder_with_anything_else_in_it_is_never_replaced(tmp_path):
    source = write_records(tmp_path / "doccano.jsonl", *records(30))
    folder = convert(source, tmp_path / "data")
    before = lines(folder, *LABELLED)
    with pytest.raises(InputError, match="holds a dataset already.*--overwrite"):
        convert(source, folder, "--seed", 1)
    assert lines(folder, *LABELLED) == before
    convert(source, folder, "--seed", 1, "--overwrite", "--splits", 0.5, 0.5)
    assert sorted(entry.name for entry in folder.iterdir()) == ["dev.txt", "label.txt", "train.txt"]
    (folder / "notes.md").touch()
    with pytest.raises(InputError, match=r"holds 'notes\.md', which would be lost"):
        convert(source, folder, "--overwrite")
    with pytest.raises(InputError, match="is a file; name a folder"):
        convert(source, source, "--overwrite")


def test_a_label_file_keeps_its_labels_and_order_and_allows_no_other(tmp_path):
    listed = tmp_path / "label.txt"
    listed.write_text("组织关系\n组织关系##裁员\n人生\n")
    folder = convert(write_records(tmp_path / "d.jsonl", *records(3)), tmp_path / "data", "--label_file", listed)
    assert lines(folder, "label.txt") == ["组织关系", "组织关系##裁员", "人生"]
    source = write_records(tmp_path / "typo.jsonl", *records(3), {"text": "a", "label": ["组织关系##裁圆"]})
    with pytest.raises(
        DatasetError,
        match=r"typo\.jsonl:4: label '组织关系##裁圆' is not in --label_file .*did you mean '组织关系##裁员'",
    ):
        convert(source, tmp_path / "data", "--label_file", listed, "--overwrite")


def test_kept_rows_and_free_rows_are_split_together():
    rows = [Row(str(number), frozenset("a"), number, None) for number in range(10)]
    rows.append(Row("kept", frozenset("a"), 11, "dev.txt"))
    random.Random(0).shuffle(rows)
    files = NewDatasetOptions(splits=(0.8, 0.2)).split(rows)
    assert [len(files[name]) for name in LABELLED] == [8, 3, 0]
    assert "kept" in {row.text for row in files["dev.txt"]}


def test_a_program_gets_what_was_written(tmp_path):
    source = write_records(tmp_path / "doccano.jsonl", *records(10), {"text": "还没有标注", "label": []})
    written = doccano.convert(DoccanoOptions(doccano_file=[source], save_dir=tmp_path / "data"))
    assert written.rows == {"train.txt": 8, "dev.txt": 1, "test.txt": 1, "data.txt": 1}
    assert written.hierarchy.labels == ("组织关系", "组织关系##裁员")
    back = DoccanoOptions(export=tmp_path / "back.jsonl", dataset_dir=written.folder)
    assert doccano.export(back) == 11
    with pytest.raises(InputError, match="exists already"):
        doccano.export(back)


def test_the_command_reports_an_error_in_one_line(tmp_path):
    source = write_records(tmp_path / "d.jsonl", "{")
    done = run_command("training/doccano.py", "--doccano_file", source, "--save_dir", tmp_path / "data", check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {source}:1: the line is no JSON")
    assert done.stderr.count("\n") == 1
