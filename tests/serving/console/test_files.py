"""Texts come from files of people's programs, and answers go to them."""

import csv
import io
import json
from pathlib import Path
from urllib.parse import urlencode

import pytest
from openpyxl import load_workbook

from serving.console.files import reading
from tests.pipeline.files.tables.workbooks import SHEET, with_part, with_strings, write_workbook

TABLE = 'text,label\n裁员,a\n"=1+1\n地震",b\n'
MOST_MEGABYTES = 50


def read(console, name, content, **options):
    query = urlencode({"name": name, **options})
    return console.ask(f"/texts?{query}", content, Content_Type="application/octet-stream")[:2]


def give(page, files):
    """Choose files on the page, given as name and content; wait until they are read."""
    given = "".join(f"given.items.add(new File([new Uint8Array({list(c)})], {json.dumps(n)}));" for n, c in files)
    page.evaluate(
        "(() => { const box = document.querySelector('input[type=file]'); const given = new DataTransfer();"
        f"{given} box.files = given.files; box.dispatchEvent(new Event('change')); }})()"
    )
    page.wait_for(f"document.querySelectorAll('#files details').length === {len(files)}")


def download(page, ending):
    """What the page saves, as bytes."""
    page.evaluate(
        "window.saved = null; window.whole = window.whole || URL.createObjectURL;"
        "URL.createObjectURL = (blob) => { blob.arrayBuffer().then((bytes) => { window.saved ="
        " Array.from(new Uint8Array(bytes)); }); return window.whole.call(URL, new Blob([])); }"
    )
    (place,) = [n for n, name in enumerate(page.texts("#downloads button")) if name == f".{ending}"]
    page.click("#downloads button", place)
    page.wait_for("!!window.saved")
    return bytes(page.evaluate("window.saved"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_a_table_is_read_in_the_encodings_of_spreadsheet_programs(console, encoding):
    status, given = read(console, "a.csv", TABLE.encode(encoding))
    assert (status, given["column"], given["texts"], given["rows"]) == (200, 1, ["裁员", "=1+1\n地震"], [2, 3])


def test_where_several_columns_could_be_the_text_it_is_asked_for(console):
    content = b"title,body,label\na,b c,x\n,d,y\n"
    status, given = read(console, "a.csv", content)
    assert (status, given["column"], given["texts"]) == (200, None, [])
    assert given["columns"][:2] == [{"name": "title", "example": "a"}, {"name": "body", "example": "b c"}]
    assert read(console, "a.csv", content, column=1)[1]["texts"] == ["a"]
    assert read(console, "a.csv", content, column=2, header=0)[1]["texts"] == ["body", "b c", "d"]
    assert "has no column 4; it has 3" in read(console, "a.csv", content, column=4)[1]["error"]


def test_lines_are_texts_unless_each_has_a_tab(console):
    assert read(console, "a.txt", "裁员, 地震\r\n\r\n=1".encode())[1]["texts"] == ["裁员, 地震", "=1"]
    given = read(console, "train.txt", "裁员\ta\n地震\tb\n".encode())[1]
    assert (given["column"], [column["example"] for column in given["columns"]]) == (None, ["裁员", "a"])
    assert read(console, "a.jsonl", '{"text": "裁\\n员"}\n\n{"text": "地震"}\n'.encode())[1]["rows"] == [1, 3]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
@pytest.mark.parametrize("lines", ["a\0bc", "裁员一\n\0地震", "裁员\n\0地震\n", "裁员\n地\0震\n"])
def test_a_lone_nul_makes_no_other_encoding_of_lines(console, encoding, lines):
    status, refused = read(console, "a.txt", lines.encode(encoding))
    row = lines[: lines.index("\0")].count("\n") + 1
    assert status == 400 and refused["error"].startswith(f"a.txt:{row}: the line holds a NUL byte; remove it")


def test_keys_of_json_lines_may_stand_late(console):
    lines = [json.dumps({"id": str(number)}) for number in range(80)] + ['{"id": "80", "text": "裁员"}']
    status, given = read(console, "a.jsonl", "\n".join(lines).encode())
    assert (status, given["column"], given["texts"], given["rows"]) == (200, 2, ["裁员"], [81])


def test_a_workbook_is_read_as_it_is_shown_and_its_macros_are_passed_over(console, tmp_path):
    path = write_workbook(tmp_path / "a.xlsm", [["正文", "x"], ["裁员", 1], ["地震", 2]], others=("more",))
    given = read(console, "a.xlsm", with_part(path, "xl/vbaProject.bin", b"macro").read_bytes())[1]
    assert (given["texts"], given["sheets"]) == (["裁员", "地震"], ["Sheet", "more"])
    assert given["notes"] == ["the macros of the workbook are passed over"]
    path = write_workbook(tmp_path / "b.xlsx", [["text"], ["裁员"], ["=1+1"]])
    status, refused = read(console, "b.xlsx", path.read_bytes())
    assert (status, refused["error"][:69]) == (
        400,
        "b.xlsx:3: column 'text' holds a formula without its value; open the w",
    )


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.xlsx", b"PK\x03\x04", "a.xlsx cannot be read as a workbook"),
        ("a.xls", bytes.fromhex("d0cf11e0a1b11ae1") + b"." * 99, "is in the old .xls format"),
        ("a.csv", b"", "a.csv is empty"),
        ("a.txt", b"\n \n", "a.txt holds no text"),
        ("a.csv", b'text\n"open', "a quotation mark opens a cell and is not closed"),
        ("a.csv", b"text\n\x80\xff", "a.csv:2: byte 0x80 is neither UTF-8 nor plausible GB18030; give an encoding"),
        ("a.jsonl", b'{"text": "a"}\n{"text": ["b"]}', "a.jsonl:2: column 'text' is a list"),
        ("a.csv", b"<html><table>", "is a page or a document"),
        ("../../a.txt", b"\x80\xff", "a.txt:1: byte 0x80"),
        ("a" * 900 + ".txt", b"\x80\xff", "aaa.txt:1: byte 0x80"),
        pytest.param("a.txt", b"a\n" * (reading.MOST_TEXTS + 1), "a.txt holds more than 50,000 texts", id="lines"),
        pytest.param("a.txt", b"\x01" * 17_000_000, "what a.txt holds takes more than 100,000,000", id="escaped"),
    ],
)
def test_what_is_no_file_of_texts_is_refused_with_a_word(console, name, content, said):
    status, refused = read(console, name, content)
    assert (status, said in refused["error"]) == (400, True), refused
    assert "/" not in refused["error"].split(":")[0]


def test_a_small_workbook_whose_rows_share_a_long_text_is_refused(console, tmp_path):
    path = write_workbook(tmp_path / "a.xlsx", [["text"]] + [["x"]] * 2000)
    with_strings(path, f"<si><t>{'裁' * 32_000}</t></si>", b"no such cell", "A2")
    with_part(path, SHEET, lambda part: part.replace(b't="inlineStr"><is><t>x</t></is>', b't="s"><v>0</v>'))
    assert len(path.read_bytes()) < 50_000
    status, refused = read(console, "a.xlsx", path.read_bytes())
    assert (status, refused["error"][:48]) == (400, "a.xlsx holds more than 50,000,000 bytes of text,")


def test_a_file_of_200_megabytes_is_refused_before_it_has_arrived(console):
    status, refused = read(console, "a.csv", b"a" * (MOST_MEGABYTES * 1_000_000 + 1))
    assert (status, "larger than 50,000,000 bytes" in refused["error"]) == (413, True)


def test_a_foreign_page_cannot_send_a_file(console):
    for kind in ("text/plain", "multipart/form-data", "application/json", ""):
        assert console.ask("/texts?name=a.txt", b"a", Content_Type=kind)[0] == 415
    assert console.ask("/workbook", b"{}", Content_Type="application/octet-stream")[0] == 415


def test_files_are_chosen_read_and_classified_on_the_page(opened, console):
    unnamed = "题目,分类\n=裁员,a\n地震,b\n".encode("gbk")
    give(opened, [("a.csv", TABLE.encode("utf-16")), ("b.csv", unnamed), ("c.xlsx", b"PK\x03\x04")])
    assert "cannot be read as a workbook" in opened.texts("#files .notice")[0]
    opened.faults.clear()  # the browser's own word on the refusal
    opened.click("#classify")
    assert opened.texts(".notice")[-1].startswith("b.csv is not ready")
    opened.click("#files li:nth-child(3) button")
    opened.evaluate("document.querySelectorAll('#files select')[2].value = '1'")
    opened.evaluate("document.querySelectorAll('#files select')[2].dispatchEvent(new Event('change'))")
    opened.type("#input", "裁员 typed")
    opened.wait_for("document.getElementById('found').textContent === '5 texts'")
    opened.click("#classify")
    opened.wait_for("document.querySelectorAll('ol.answers > li').length === 5")
    assert opened.texts("ol.answers .text") == ["裁员 typed", "裁员", "=1+1\n地震", "=裁员", "地震"]
    opened.open(console.url, width=390, language="zh-CN")  # anew: nothing is lost
    opened.wait_for("document.querySelectorAll('ol.answers > li').length === 5")
    assert opened.fits(390)


def test_answers_are_taken_away_and_nothing_in_them_runs(opened, console, tmp_path):
    hostile = ["=cmd|' /C calc'!A0", "@SUM(1)", "+1", "-2+3", "＝1", '裁员, "地震"']
    give(opened, [("a.txt", "\n".join(hostile).encode())])
    opened.click("#classify")
    opened.wait_for(f"document.querySelectorAll('ol.answers > li').length === {len(hostile)}")
    answers = console.ask("/classify", {"texts": hostile})[1]["answers"]
    labels = [",".join(each["label"] for each in answer["labels"]) for answer in answers]
    whole = [[text, found, f"a.txt:{row}"] for row, (text, found) in enumerate(zip(hostile, labels), start=1)]

    lines = [json.loads(line) for line in download(opened, "jsonl").decode().splitlines()]
    assert [[line["text"], ",".join(e["label"] for e in line["labels"]), line["from"]] for line in lines] == whole
    rows = list(csv.reader(io.StringIO(download(opened, "csv").decode("utf-8-sig"), newline="")))
    assert rows[0] == ["text", "labels", "confidences", "problem", "from"]
    assert [[row[0].removeprefix(" "), row[1], row[4]] for row in rows[1:]] == whole
    (tmp_path / "answers.xlsx").write_bytes(download(opened, "xlsx"))
    cells = list(load_workbook(tmp_path / "answers.xlsx").active.rows)[1:]
    assert [[row[0].value, row[1].value, row[4].value] for row in cells] == whole
    assert {cell.data_type for row in cells for cell in row if cell.value} == {"s"}
    for text in [row[0] for row in rows[1:-1]] + download(opened, "txt").decode().splitlines()[:-1]:
        assert text.startswith(" ")


def test_a_workbook_holds_any_text_or_says_which_it_cannot(console, tmp_path):
    path = tmp_path / "a.xlsx"
    odd = "_x0041_\x01\n\t🚀 "
    path.write_bytes(console.ask("/workbook", {"header": ["text"], "rows": [[odd], [None], [0.5]]})[1])
    assert read(console, "a.xlsx", path.read_bytes())[1]["texts"] == [odd.strip(), "0.5"]
    for row in ([float("inf")], ["a"] * 101):
        assert console.ask("/workbook", {"header": ["text"], "rows": [row]})[0] == 422
    assert console.ask("/workbook", b'{"header": ["a"], "rows": [["half \\ud800"]]}')[0] == 200
    status, refused, _ = console.ask("/workbook", {"header": ["text"], "rows": [["a"], ["b" * 32_768]]})
    assert (status, refused["error"][:43]) == (400, "answer 2 has a text of 32,768 characters, a")


def test_nothing_of_a_text_is_left_behind(console):
    before = set(Path("/tmp").glob("console*"))
    read(console, "a.csv", b"text\nsecret\n")
    assert set(Path("/tmp").glob("console*")) <= before
