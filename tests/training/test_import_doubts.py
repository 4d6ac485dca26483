"""What training/import_table.py refuses, asks back, or mentions."""

import datetime

import pytest

from pipeline.errors import DatasetError, InputError
from tests.conftest import run_in_process
from tests.doccano import convert as convert_doccano
from tests.doccano import write_records
from tests.pipeline.files.tables.workbooks import write_workbook
from tests.tables import SIMPLE, convert, text
from training import doccano, import_table

CELLS = ("several", "repeated", "mixed", "levels")
SHOP = ["text,label", *(f"t{n},{('Billing > Refund', 'Shipping > Late')[n % 2]}" for n in range(40))]


@pytest.mark.parametrize(
    ("rows", "options", "reason"),
    [
        (SIMPLE, ("--text_columns", "内容"), r":1: there is no column '内容'; row 1 has 'text', 'label'; name col"),
        (SIMPLE, ("--label_columns", "labels"), r"row 1 has 'text', 'label'; did you mean 'label'\?"),
        (SIMPLE, ("--label_columns", "3"), r":2: the row ends after 2 cells, and 3 are needed"),
        (SIMPLE[1:], (), r":1: there is no column 'text'; row 1 has 't0', 'a'; .* if that row is no header, give"),
        (
            SIMPLE[1:],
            ("--text_columns", "1", "--label_columns", "2"),
            r"row 1 names the columns, and its 'a' is a label",
        ),
        (
            ["text,label", *(f"t{n},id{n}" for n in range(40))],
            (),
            r"40 labels in 40 rows, of which 40 occur once, as 'id0'",
        ),
        (
            ["text,label", *(f"t{n},{n // 3}" for n in range(4000))],
            (),
            r"1,334 labels in 4,000 rows.*is that the column",
        ),
        (
            ["text,top,below", *(f"t{n},x{n % 8},y{n % 2}" for n in range(40))],
            ("--label_columns", "top", "below"),
            r"those are only 2, as 'x0##y0', .*do the levels stand in the other order\?",
        ),
        (
            [*SHOP, "u1,Billing > Double charge; Billing > Refund", "u2,Shipping > Late;Billing > Refund"],
            ("--separator=>",),
            r"2 of 42 label cells have ';' .*, as 'Billing > Double charge; Billing > Refund', and .*_separator=';'",
        ),
        (
            ["text,label", *(f"t{n},甲、{'乙丙'[n % 2]}" for n in range(40)), "u,丁、丙", "v,丁、乙"],
            (),
            r"42 of 42 label cells have '、' .*, as '甲、乙', .* give --label_separator='、'",
        ),
        (
            [*SHOP, "u1,Billing > Refund|Shipping > Late; Billing > Fee"],
            ("--separator=>", "--label_separator=;"),
            r"1 of 42 label cells have '\|' .*, as 'Billing > Refund\|Shipping > Late', .* write ';' between all",
        ),
        (
            ["text,top,below", *(f"t{n},x{n % 2},y{n % 3}" for n in range(40)), "u,x1,y0;y2"],
            ("--label_columns", "top", "below"),
            r"1 of 82 label cells have ';' .*, as 'y0;y2', .* write whole paths into one column",
        ),
    ],
    ids=[*("column", "near", "number", "named", "header", "ids", "many", "order"), *CELLS],
)
def test_what_looks_wrong_is_asked_and_nothing_is_written(tmp_path, rows, options, reason):
    path = text(tmp_path / "a.csv", *rows)
    done = convert(path, *options)
    assert done.returncode == 2
    with pytest.raises(InputError, match=reason):
        raise InputError(done.stderr)
    assert not (tmp_path / "data").exists()
    if "give --yes" in done.stderr:
        accepted = convert(path, *options, "--yes")
        assert accepted.returncode == 0
        with pytest.raises(InputError, match=reason):
            raise InputError(accepted.stderr)


def test_the_order_of_levels_is_not_doubted_where_it_is_right(tmp_path):
    path = text(tmp_path / "a.csv", "text,top,below", *(f"t{n},y{n % 2},x{n % 8}" for n in range(40)))
    done = convert(path, "--label_columns", "top", "below")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (
            ["a/b", "a/c", "d"],
            "no label has a parent, and 2 of 3 contain '/', as 'a/b'; if that stands between levels",
        ),
        (["a > b", "c > d"], "give --separator='>'"),
        (["a->b", "a->c"], "give --separator='->'"),
        (["a|b", "c|d"], "give --separator='|'"),
        (["a-b", "c-d"], "give --separator=-\n"),
        (["1", "2"], "every label is a number, as '1', '2': is there a column with names?"),
        (["a", "nan"], "label 'nan' looks like what a program writes into an empty cell"),
        (["a##b", "b##a"], "'a##b' and 'b##a' are both labels: the levels stand in two orders"),
        (
            ["A##x", "a##x", "３级", "3级", "b"],
            "labels that differ in letter case or width alone: '3级' and '３级'; 'A' and 'a'; if those",
        ),
    ],
)
def test_what_is_odd_about_labels_is_said(tmp_path, labels, said):
    found = [["text", "label"], *([f"t{n}", labels[n % len(labels)]] for n in range(40))]
    done = convert(write_workbook(tmp_path / "a.xlsx", found))
    assert done.returncode == 0
    assert said in done.stderr
    source = write_records(tmp_path / "d.jsonl", *({"text": word, "label": [label]} for word, label in found[1:]))
    done = run_in_process(doccano.main, "--doccano_file", source, "--save_dir", tmp_path / "doccano")
    assert said in done.stderr


def test_nothing_is_said_of_a_few_names_with_a_sign(tmp_path, capsys):
    names = ["灾害/意外", "人生", "交往", "e-mail"]
    source = write_records(tmp_path / "d.jsonl", *({"text": f"{n}", "label": [names[n % 4]]} for n in range(20)))
    convert_doccano(source, tmp_path / "data")
    assert not capsys.readouterr().err


def test_another_sign_between_levels_is_mentioned_and_one_within_a_name_is_not(tmp_path):
    path = text(tmp_path / "a.csv", *SHOP, *(f"u{n},Billing/Refund" for n in range(5)), "v,灾害/意外", "w,Fees; taxes")
    done = convert(path, "--separator=>")
    assert done.returncode == 0
    said = (
        "note: 5 of 47 label cells have '/' and no '>', as 'Billing/Refund'; if that stands between levels, write '>'"
    )
    assert done.stderr == f"{said} there\n"


def test_a_first_row_without_a_header_is_looked_at(tmp_path):
    done = convert(text(tmp_path / "a.csv", *SIMPLE), "--header_row", 0, "--text_columns", 1, "--label_columns", 2)
    assert "no row names the columns" in done.stdout
    assert "row 1 is data, and no other has its label 'label'; is it a header (--header_row 1)?" in done.stderr


@pytest.mark.parametrize(
    ("row", "options", "reason"),
    [
        (["t", datetime.date(2024, 1, 2)], (), "a.xlsx:42: column 'label' holds a date"),
        (["t", "#N/A"], (), "a.xlsx:42: column 'label' holds the error #N/A"),
        (["=A1", "a"], (), "a.xlsx:42: column 'text' holds a formula without its value"),
        (["t", "=B2"], (), "a.xlsx:42: column 'label' holds a formula without its value"),
        (["t", "a\nb"], (), r"column 'label': label 'a\\nb' contains .* U\+000A.*separator=\$'\\n'$"),
        (
            ["t", "a##b"],
            ("--separator", "/"),
            r"contains '##', which separates levels in dataset files; rename it, or give",
        ),
        (["t", "a###b"], (), "can be read in two ways"),
        (["t", "a//b"], ("--separator", "/"), "empty segment"),
        (["t", "a\\"], (), "has a backslash at its end"),
    ],
)
def test_a_cell_that_is_no_label_or_no_text_is_named(tmp_path, row, options, reason):
    found = [["text", "label"], *([f"t{n}", "ab"[n % 2]] for n in range(40)), row]
    path = write_workbook(tmp_path / "a.xlsx", found)
    with pytest.raises(DatasetError, match=reason):
        import_table.main(["--table_file", str(path), "--save_dir", str(tmp_path / "data"), *options])
    assert not (tmp_path / "data").exists()
