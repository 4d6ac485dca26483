"""Workbooks: what a cell is read as, and files that must not take all memory or end in a traceback."""

import datetime
import os
import struct
import subprocess
import sys
import time
import zipfile

import pytest

from pipeline.errors import DatasetError, InputError
from pipeline.files.tables import workbook_parts
from pipeline.files.tables.cells import Flaw
from pipeline.files.tables.options import TableOptions
from pipeline.files.tables.reading import open_table, read_columns
from pipeline.files.tables.workbook import workbook_table
from tests.conftest import PROJECT
from tests.pipeline.files.tables.workbooks import SHEET, STRINGS, with_part, with_strings, write_workbook


def read(path, **options):
    table = workbook_table(path, TableOptions(**options))
    return [(row.number, list(row.cells)) for row in table.rows]


READING = '<r><t>東</t></r><r><t>京</t></r><rPh sb="0" eb="2"><t>トウキョウ</t></rPh>'


def test_phonetic_readings_are_no_part_of_a_name(tmp_path):
    path = write_workbook(tmp_path / "a.xlsx", [["text", "label"], ["文", "東京"], ["字", "北京"]])
    with_part(path, SHEET, lambda part: part.replace("<t>東京</t>".encode(), READING.encode()))
    shared = f"<si>{READING}</si>"
    with_strings(path, shared, b'<c r="B3" t="inlineStr"><is><t>' + "北京".encode() + b"</t></is></c>", "B3")
    assert zipfile.ZipFile(path).read(SHEET).decode().count("トウキョウ") == 1
    assert read(path) == [(2, ["文", "東京"]), (3, ["字", "東京"])]


@pytest.mark.parametrize("first", [b"A1", b"C1"])
def test_a_cell_that_stands_twice_or_out_of_order_in_its_row_is_refused(tmp_path, first):
    path = write_workbook(tmp_path / "a.xlsx", [["text", "label"], ["文", "東京"]])
    with_part(path, SHEET, lambda part: part.replace(b'<c r="A1"', b'<c r="%s"' % first).replace(b'"B1" ', b'"A1" '))
    with pytest.raises(InputError, match=r"a\.xlsx is damaged: row 1 has cell A1 twice or out of order"):
        read(path)


def test_the_chain_of_formulas_may_have_any_order(tmp_path):
    path = write_workbook(tmp_path / "a.xlsx", [["text", "label"], ["文", "東京"]])
    with_part(path, "xl/calcChain.xml", b'<calcChain><c r="B2" i="1"/><c r="A2"/><c r="A2"/></calcChain>')
    assert read(path) == [(2, ["文", "東京"])]


def test_numbers_truth_values_line_breaks_and_marks_are_read_as_they_are_shown(tmp_path):
    rows = [["a", "b", "c", "d", "e"], [40.0, 7, 1.5, True, "one_x000D_\n\"two\", 'three'"]]
    assert read(write_workbook(tmp_path / "a.xlsx", rows)) == [
        (2, ["40", "7", "1.5", "TRUE", "one\r\n\"two\", 'three'"])
    ]


def test_cells_that_are_merged_down_have_the_text_of_the_first_and_others_stay_empty(tmp_path):
    rows = [["text", "top", "below"], ["a", "x", "x1"], ["b", None, "x2"], ["c", "y", None], ["d", None, None]]
    path = write_workbook(tmp_path / "a.xlsx", rows, merged=["B2:B3", "B4:C5"])
    table = workbook_table(path, TableOptions())
    assert [list(row.cells) + [""] * (3 - len(row.cells)) for row in table.rows] == [
        ["a", "x", "x1"],
        ["b", "x", "x2"],
        ["c", "y", ""],
        ["d", "y", ""],
    ]
    assert table.notes == ["2 cells that are merged with one above have its text"]


def test_dates_errors_and_formulas_without_a_value_are_told_apart_from_text(tmp_path):
    rows = [["a", "b", "c"], [datetime.datetime(2024, 1, 2), "#N/A", "=1+1"], ["#N/A", "x", "y"]]
    (_, (date, error, formula)), (_, (other, *_)) = read(write_workbook(tmp_path / "a.xlsx", rows))
    assert (date.text, date.as_text) == ("2024-01-02", True)
    assert "a date, as spreadsheet programs make of what looks like one" in date.reason
    assert "the error #N/A" in error.reason == other.reason
    assert formula == Flaw(
        "", "holds a formula without its value; open the workbook in a spreadsheet program and save it again"
    )


def test_a_formula_whose_value_was_saved_has_it(tmp_path):
    path = write_workbook(tmp_path / "a.xlsx", [["a"], ["=A3"], ["x"]])
    with_part(
        path,
        SHEET,
        lambda part: part.replace(b"<f>A3</f><v />", b"<f>A3</f><v>5</v>")
        .replace(b"<f>A3</f><v></v>", b"<f>A3</f><v>5</v>")
        .replace(b"<f>A3</f><v/>", b"<f>A3</f><v>5</v>"),
    )
    assert b"<v>5</v>" in zipfile.ZipFile(path).read(SHEET)
    assert read(path) == [(2, ["5"]), (3, ["x"])]
    notes = workbook_table(path, TableOptions()).notes
    assert notes == ["formulas of which the saved value was taken: 1"]


def test_rows_above_the_header_are_skipped_and_its_row_may_be_named(tmp_path):
    path = write_workbook(tmp_path / "a.xlsx", [[], ["Complaints"], ["text", "label"], [], ["a", "x"]])
    table = open_table(path, TableOptions(header_row=3), ["text", "label"])
    assert (table.header_row, [row.number for row in table.rows]) == (3, [5])
    with pytest.raises(
        DatasetError, match=r"a\.xlsx:2: there is no column 'text'; row 2 has 'Complaints'; row 3 has it: "
    ):
        open_table(path, TableOptions(), ["text"]).places(["text"])
    assert [row.number for row in open_table(path, TableOptions(header_row=0), ["1"]).rows] == [2, 3, 5]


def test_a_sheet_is_taken_by_name_or_number_and_the_others_are_named(tmp_path):
    path = write_workbook(tmp_path / "a.xlsx", [["a"], ["x"]], title="订单", others=("2", "Notes"))
    assert workbook_table(path, TableOptions()).form == "workbook, sheet '订单', beside '2', 'Notes'"
    assert workbook_table(path, TableOptions(sheet="2")).form.startswith("workbook, sheet '2'")
    assert workbook_table(path, TableOptions(sheet="3")).form.startswith("workbook, sheet 'Notes'")
    with pytest.raises(
        InputError, match="has no sheet 'note'; give --sheet one of '订单', '2', 'Notes', or a number up to 3"
    ):
        workbook_table(path, TableOptions(sheet="note"))


def test_two_columns_of_one_name_are_told_apart_by_number(tmp_path):
    path = write_workbook(tmp_path / "a.xlsx", [["text", "label", "Label", "label"], ["a", "x", "y", "z"]])
    table = workbook_table(path, TableOptions())
    assert table.places([" TEXT ", "Label", "4"]) == [0, 2, 3]
    with pytest.raises(DatasetError, match="columns 2 and 4 are all called 'label'; give the number"):
        table.places(["label"])


OLE = bytes.fromhex("d0cf11e0a1b11ae1")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (OLE + b"." * 100, r"old \.xls format; save it as \.xlsx or \.csv"),
        (OLE + b"." * (1 << 20) + "EncryptedPackage".encode("utf-16-le"), "protected by a password"),
        (b"PK\x03\x04 cut off", "cannot be read as a workbook"),
        (b"<html><table><tr><td>text</td></tr></table>", "is a page or a document, whatever its name says"),
        (b"", "is empty"),
    ],
)
def test_what_is_no_workbook_is_named(tmp_path, content, reason):
    path = tmp_path / "a.xlsx"
    path.write_bytes(content)
    with pytest.raises(InputError, match=reason):
        list(read_columns(path, ["text"]))


def archive(path, **parts):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in parts.items():
            target.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("xl/workbook.bin", r"a binary workbook \(\.xlsb\)"),
        ("content.xml", "OpenDocument"),
        ("other", "cannot be read as a w"),
    ],
)
def test_other_archives_are_named(tmp_path, name, reason):
    with pytest.raises(InputError, match=reason):
        read(archive(tmp_path / "a.xlsx", **{name: "<a/>"}))


SPACE = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


def sheet(rows):
    return f"<worksheet {SPACE}><sheetData>{rows}</sheetData></worksheet>".encode()


@pytest.mark.parametrize(
    ("part", "content", "reason"),
    [
        (SHEET, b"<worksheet", "cannot be read as a workbook .ExpatError"),
        (SHEET, sheet('<row><c r="A1" t="s"><v>9</v></c></row>'), "cannot be read as a workbook .IndexError"),
        (SHEET, sheet('<row r="1"><c r="ZZZ1"><v>9</v></c></row>'), "is damaged: it has a cell 'ZZZ1'"),
        (SHEET, sheet('<row r="99999999999"><c><v>9</v></c></row>'), "is damaged: it has a row '99999999999'"),
        (SHEET, sheet('<row r="0"><c><v>9</v></c></row>'), "is damaged: it has a row '0'"),
        (SHEET, sheet("<a>" * 200 + "</a>" * 200), "larger than a workbook may be"),
        (STRINGS, b'<!DOCTYPE a [<!ENTITY b "c">]><sst/>', "declares XML entities"),
        ("xl/workbook.xml", b"<workbook/>", "cannot be read as a workbook|has no worksheet"),
    ],
)
def test_damage_is_an_error_of_one_line(tmp_path, part, content, reason):
    path = with_part(write_workbook(tmp_path / "a.xlsx", [["a"], ["x"]]), part, content)
    with pytest.raises(InputError, match=reason) as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_every_cut_of_a_workbook_is_an_error(tmp_path):
    whole = write_workbook(tmp_path / "a.xlsx", [["a"], *([f"x{n}"] for n in range(50))]).read_bytes()
    for size in range(8, len(whole) - 1, 97):
        (tmp_path / "cut.xlsx").write_bytes(whole[:size])
        with pytest.raises(InputError):
            read(tmp_path / "cut.xlsx")


BOMBS = {
    "unpacked": lambda path: with_part(path, "xl/more.xml", b"<a>" + b" " * (300 << 20) + b"</a>"),
    "elements": lambda path: with_part(path, STRINGS, f"<sst {SPACE}>{'<si/>' * 9_000_000}</sst>".encode()),
    "parts": lambda path: archive(path, **{f"xl/{n}.xml": "<a/>" for n in range(10_001)}),
    "lie": lambda path: lying(path),
}


def lying(path):
    """The archive says that a part of 300 MB unpacks to 100 bytes."""
    size = 300 << 20
    with_part(path, "xl/styles.xml", b"<a>" + b" " * (size - 7) + b"</a>")
    path.write_bytes(path.read_bytes().replace(struct.pack("<I", size), struct.pack("<I", 100)))
    return path


PROGRAM = """
import re, sys
from pathlib import Path
from pipeline.errors import InputError
from pipeline.files.tables.options import TableOptions
from pipeline.files.tables.workbook import workbook_table
try:
    list(workbook_table(Path(sys.argv[1]), TableOptions()).rows)
except InputError as error:
    print(error)
print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) >> 10)
"""


@pytest.mark.parametrize("bomb", [*sorted(set(BOMBS) - {"elements"}), pytest.param("elements", marks=pytest.mark.slow)])
def test_a_workbook_that_unpacks_to_a_multiple_takes_neither_memory_nor_time(tmp_path, bomb):
    path = BOMBS[bomb](write_workbook(tmp_path / "a.xlsx", [["a"], ["x"]]))
    assert path.stat().st_size < 3 << 20
    words = [sys.executable, "-c", PROGRAM, str(path)]
    begun = time.monotonic()
    done = subprocess.run(words, cwd=PROJECT, env=os.environ, capture_output=True, text=True, check=True)
    message, megabytes = done.stdout.splitlines()
    assert "cannot be read" in message if bomb == "lie" else "larger than a workbook may be" in message
    assert int(megabytes) < 300
    assert time.monotonic() - begun < 60


@pytest.mark.parametrize(
    ("part", "content"),
    [
        (SHEET, sheet("<row>" + "<c/>" * 2000 + "</row>")),
        (SHEET, sheet("<row><c/>" + "<b/>" * 1500 + "</row>")),
        (SHEET, sheet('<row><c r="XFD1"/></row>')),
        (STRINGS, f"<sst {SPACE}>{'<si/>' * 2000}</sst>".encode()),
    ],
    ids=["cells", "others", "empty cells", "strings"],
)
def test_cells_and_texts_are_counted(tmp_path, monkeypatch, part, content):
    path = write_workbook(tmp_path / "a.xlsx", [["a"], ["x"]])
    monkeypatch.setattr(workbook_parts, "MOST_ELEMENTS", 2000)
    monkeypatch.setattr(workbook_parts, "MOST_OTHERS", 1500)
    read(path)
    with pytest.raises(InputError, match="larger than a workbook may be"):
        read(with_part(path, part, content))


def test_a_cell_at_the_far_corner_costs_nothing(tmp_path):
    path = write_workbook(tmp_path / "a.xlsx", [["a"], ["x"]])
    far = '<row r="1"><c r="A1" t="str"><v>a</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    with_part(path, SHEET, sheet(far))
    begun = time.process_time()
    assert read(path)[-1][0] == 1048576
    assert time.process_time() - begun < 30
