"""From a table to a dataset folder: columns, labels, what is asked back, and what is said."""

import json
import subprocess

import pytest

from pipeline.errors import DatasetError, InputError
from tests.doccano import LABELLED, lines
from tests.pipeline.files.tables.workbooks import write_workbook
from tests.tables import SIMPLE, convert, rows, text
from training import import_table
from training.data import dataset_folder
from training.import_table import ImportOptions, understand

TREE = {"组织行为": ("罢工", "游行"), "人生": ("死亡", "结婚", "产子/女")}
PATHS = [(top, below) for top, names in TREE.items() for below in names]


def table(path, rows=60, header=("编号", "内容", "一级", "二级")):
    """A workbook in which each kind occurs equally often."""
    found = [[n, f"新闻{n}，“甲”", *PATHS[n % len(PATHS)]] for n in range(rows)]
    return write_workbook(path, [header, *found])


def jsonl(path, *records):
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    return path


def test_a_workbook_with_a_column_for_each_level_becomes_a_dataset_folder(tmp_path):
    done = convert(table(tmp_path / "a.xlsx"), "--text_columns", "内容", "--label_columns", "一级", "4")
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        done.stdout
        == f"""\
{tmp_path}/a.xlsx: workbook, sheet 'Sheet'
row 1 names the columns: '编号', '内容', '一级', '二级'
text: '内容'; label: '一级' above '4', a level each
60 labelled rows, 0 texts without labels, 0 rows without a text
row 2: '新闻0，“甲”' is 组织行为##罢工

├─ 人生  36
│  ├─ 产子/女  12
│  ├─ 死亡  12
│  └─ 结婚  12
└─ 组织行为  24
   ├─ 游行  12
   └─ 罢工  12

{tmp_path}/data: label.txt 7 labels (by level: 2 + 5), train.txt 48 rows, dev.txt 6 rows, test.txt 6 rows
"""
    )
    found = rows(tmp_path / "data")
    assert len(found) == 60
    assert found["新闻4，“甲”"] == ["人生##产子/女"]


def test_every_file_has_its_share_of_every_label_and_the_seed_decides_which(tmp_path):
    path, found = table(tmp_path / "a.xlsx", 500), []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        options = ImportOptions(
            table_file=path, text_columns=["内容"], label_columns=["一级", "二级"], save_dir=tmp_path / name, seed=seed
        )
        import_table.convert(options)
        found.append([lines(tmp_path / name, each) for each in LABELLED])
        for file, each in (("train.txt", 80), ("dev.txt", 10), ("test.txt", 10)):
            labels = [labels[0] for labels in rows(tmp_path / name, file).values()]
            assert {labels.count(label) for label in labels} == {each}, file
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(
    ("label", "options"),
    [
        ("人生/死亡;组织行为/罢工", ("--separator", "/", "--label_separator", ";")),
        ("人生 > 死亡|组织行为>罢工", ("--separator=>", "--label_separator=|")),
        ("人生##死亡，组织行为##罢工", ("--label_separator", "，")),
        (["人生##死亡", "组织行为##罢工"], ()),
        ([["人生", "死亡"], ["组织行为", "罢工"]], ()),
    ],
)
def test_several_labels_in_a_cell(tmp_path, label, options):
    path = jsonl(tmp_path / "a.jsonl", *({"text": f"{n}", "label": label} for n in range(5)))
    assert convert(path, *options, "--splits", 1, 0).returncode == 0
    assert rows(tmp_path / "data")["3"] == ["人生##死亡", "组织行为##罢工"]


def test_several_columns_may_be_labels_each_and_texts_are_joined(tmp_path):
    path = text(tmp_path / "a.csv", "title,body,one,two", *(f"t{n},b{n},x/y,z" for n in range(9)), "u,,,", ",v,x/y,")
    options = ("--text_columns", "title", "body", "--label_columns", "one", "two", "--columns_are", "labels")
    done = convert(path, *options, "--separator=/")
    assert done.returncode == 0, done.stderr
    found = rows(tmp_path / "data")
    assert (found["t3 b3"], found["v"]) == (["x##y", "z"], ["x##y"])
    assert lines(tmp_path / "data", "data.txt") == ["u"]
    assert "10 labelled rows, 1 texts without labels" in done.stdout


def test_texts_are_one_line_and_keep_their_quotation_marks(tmp_path):
    found = [["text", "label"], *([f'“{n}”\nsaid "b",\tand _x000D_\r\n', "农,林"] for n in range(5)), [" ", "农,林"]]
    done = convert(write_workbook(tmp_path / "a.xlsx", found), "--splits", 1, 0)
    assert done.returncode == 0
    assert "note: 5 texts held tabs or line breaks, which became spaces" in done.stderr
    assert f"note: left out: 1 row without visible text, the first in line 7 of {tmp_path}/a.xlsx" in done.stderr
    assert '“3” said "b", and\t农\\,林' in lines(tmp_path / "data", "train.txt")


CONTRADICTORY = ["text,label", "甲,a", "乙,b", "甲,a", "甲,b", "丙,a", "丁,b"]


def test_texts_with_different_labels_are_refused_united_or_kept(tmp_path):
    path = text(tmp_path / "a.csv", *CONTRADICTORY)
    done = convert(path)
    assert done.returncode == 2
    assert "1 row with a text that stands elsewhere with other labels, as " in done.stderr
    assert f"note: {path}:5: '甲' is b, and a in {path}:2" in done.stderr
    assert not (tmp_path / "data").exists()
    done = convert(path, "--conflicts", "merge")
    assert rows(tmp_path / "data")["甲"] == ["a", "b"]
    assert "1 row with a text that stands elsewhere with other labels; such rows were united with it" in done.stderr
    assert "4 labelled rows" in done.stdout
    done = convert(path, "--conflicts", "keep", "--overwrite")
    written = lines(tmp_path / "data", *LABELLED)
    assert sorted(line for line in written if line.startswith("甲")) == ["甲\ta", "甲\tb"]
    assert "are kept, in the same file; correct them" in done.stderr


def test_an_empty_level_above_another_is_named_and_merged_cells_fill_it(tmp_path):
    found = [
        ["text", "top", "below"],
        *([f"t{n}", None if n % 2 else f"x{n // 2 % 3}", f"y{n % 6}"] for n in range(12)),
    ]
    options = {"label_columns": ["top", "below"], "table_file": tmp_path / "a.xlsx", "save_dir": tmp_path / "data"}
    write_workbook(tmp_path / "a.xlsx", found)
    with pytest.raises(DatasetError, match="a.xlsx:3: column 'top' is empty, and 'below', a level below, is not"):
        understand(ImportOptions(**options))
    write_workbook(tmp_path / "a.xlsx", found, merged=[f"B{n}:B{n + 1}" for n in range(2, 14, 2)])
    understood = understand(ImportOptions(**options))
    assert understood.hierarchy.labels == ("x0", "x0##y0", "x0##y1", "x1", "x1##y2", "x1##y3", "x2", "x2##y4", "x2##y5")
    assert understood.warnings == ("6 cells that are merged with one above have its text",)


def test_a_dry_run_writes_nothing_and_a_folder_is_never_replaced_unasked(tmp_path):
    path = text(tmp_path / "a.csv", *CONTRADICTORY)
    done = convert(path, "--dry_run")
    assert done.returncode == 0
    assert "├─ b  3" in done.stdout
    assert not (tmp_path / "data").exists()
    assert convert(path, "--conflicts", "merge").returncode == 0
    done = convert(path, "--conflicts", "merge")
    assert "holds a dataset already; give another folder, or --overwrite" in done.stderr
    (tmp_path / "data" / "notes.md").touch()
    done = convert(path, "--conflicts", "merge", "--overwrite")
    assert (done.returncode, "holds 'notes.md', which would be lost" in done.stderr) == (2, True)


def test_git_ignores_a_dataset_inside_the_project(tmp_path, monkeypatch):
    project = tmp_path.resolve() / "project"
    subprocess.run(["git", "init", "-q", project], check=True)
    monkeypatch.setattr(dataset_folder, "PROJECT", project)
    path = text(project / "a.csv", *SIMPLE)
    assert convert(path).returncode == 0
    assert convert(path, "--overwrite").returncode == 0
    assert len(rows(project / "data")) == 40
    status = ["git", "-C", project, "status", "--porcelain"]
    assert subprocess.run(status, check=True, capture_output=True, text=True).stdout == "?? a.csv\n"
    (project / "data" / ".gitignore").write_text("*.bak\n")
    assert "holds '.gitignore', which would be lost" in convert(path, "--overwrite").stderr


def test_a_dataset_elsewhere_is_left_to_its_owner(tmp_path):
    assert convert(text(tmp_path / "a.csv", *SIMPLE)).returncode == 0
    assert not (tmp_path / "data" / ".gitignore").exists()


def test_a_table_in_the_folder_that_would_be_replaced_is_refused(tmp_path):
    path = text(tmp_path / "a.csv", "text,label", *(f"t{n},a" for n in range(30)))
    assert convert(path).returncode == 0
    train = tmp_path / "data" / "train.txt"
    before = train.read_bytes()
    columns = ("--header_row", 0, "--text_columns", 1, "--label_columns", 2)
    done = convert(train, "--save_dir", train.parent, *columns, "--overwrite")
    assert (done.returncode, "train.txt, which is read and would be lost" in done.stderr) == (2, True)
    assert train.read_bytes() == before


def test_a_large_hierarchy_is_shown_in_part(tmp_path):
    found = ["text,label", *(f"t{n},top{n % 5}/below{n % 200}" for n in range(2000))]
    done = convert(text(tmp_path / "a.csv", *found), "--separator", "/", "--dry_run")
    shown = [line for line in done.stdout.splitlines() if "─" in line]
    assert len(shown) == 25
    assert "(and 36 more below)" in shown[0]
    assert "... 180 of 205 labels are not shown" in done.stdout


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"separator": ""}, "must not be empty"),
        ({"separator": "/", "label_separator": "/"}, "are both '/'; they cannot be told apart"),
        ({"label_columns": ("a", "b"), "label_separator": ";"}, "leave out --label_separator, or give --columns_are"),
        ({"label_columns": ("text",)}, "column 'text' is given twice"),
        ({"delimiter": "::"}, "give one character"),
        ({"splits": (0.5,)}, "which sum to 1"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options, reason):
    with pytest.raises(InputError, match=reason):
        ImportOptions(table_file="a.csv", **options)
