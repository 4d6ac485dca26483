"""Tables in text files: encodings, delimiters, quotation marks, line ends, and rows that were cut in two."""

import codecs
import csv
import json

import pytest

from pipeline.errors import DatasetError, InputError
from pipeline.files.tables.options import TableOptions
from pipeline.files.tables.reading import open_table, read_columns

COLUMNS = ("text", "label")
ROWS = [["text", "label"], ["停产裁员，“罢工”", "组织行为"], ['a "b", c;\nd|e\tf', "组织,关系"]]


def read(path, *columns, **options):
    table = open_table(path, TableOptions(**options), columns or COLUMNS)
    return table, [(row.number, list(row.cells)) for row in table.rows]


def write_rows(path, rows=ROWS, encoding="utf-8", delimiter=",", end="\r\n", mark=b""):
    with open(path, "w", encoding=encoding, newline="") as stream:
        csv.writer(stream, delimiter=delimiter, lineterminator=end).writerows(rows)
    path.write_bytes(mark + path.read_bytes())
    return path


@pytest.mark.parametrize(
    ("encoding", "mark", "said"),
    [
        ("utf-8", b"", "UTF-8"),
        ("utf-8-sig", b"", "UTF-8 with a byte order mark"),
        ("utf-16", b"", "UTF-16"),
        ("utf-16-be", codecs.BOM_UTF16_BE, "UTF-16"),
        ("utf-16-le", b"", "UTF-16 without a byte order mark"),
        ("utf-16-be", b"", "UTF-16 (big endian) without a byte order mark"),
        ("utf-32", b"", "UTF-32"),
        ("utf-32-be", codecs.BOM_UTF32_BE, "UTF-32"),
        ("utf-32-le", b"", "UTF-32 without a byte order mark"),
        ("utf-32-be", b"", "UTF-32 (big endian) without a byte order mark"),
        ("gb18030", b"", "GB18030"),
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encodings_and_delimiters_are_told_apart_and_said(tmp_path, encoding, mark, said, delimiter):
    table, rows = read(write_rows(tmp_path / "a.txt", encoding=encoding, delimiter=delimiter, mark=mark))
    assert rows == [(2, ROWS[1]), (3, ROWS[2])]
    assert table.form.endswith(f"between cells, {said}")
    assert table.form.startswith("text with " + {",": "commas", ";": "semicolons", "\t": "tabs", "|": "|"}[delimiter])


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Médecine générale, été,x", "cp1252"),
        ("資料分類與標籤的關係,x", "big5"),
        ("テキストの分類とラベル,x", "shift_jis"),
    ],
)
def test_other_encodings_are_refused_and_read_when_they_are_named(tmp_path, text, encoding):
    path = tmp_path / "a.csv"
    path.write_bytes(f"text,label,more\nabc,x,y\n{text}\n".encode(encoding))
    with pytest.raises(
        DatasetError, match=r"a\.csv:3: byte 0x\w\w is neither UTF-8 nor plausible GB18030; give --encoding"
    ):
        read(path)
    assert read(path, encoding=encoding)[1][1] == (3, text.split(",") if text.count(",") == 2 else [*text.split(",")])
    with pytest.raises(InputError, match="is not UTF-8 throughout"):
        read(path, encoding="utf-8")


@pytest.mark.parametrize("word", ["utf-9", "base64", "rot13", "undefined", "unicode_escape", "utf-7"])
def test_an_encoding_that_is_none_is_refused(word):
    with pytest.raises(InputError, match=f"--encoding '{word}' is not known"):
        TableOptions(encoding=word)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", "text,label\n".encode("utf-16") + b"\x00"])
def test_half_a_character_is_refused(tmp_path, content):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(InputError, match="is not UTF-16 throughout"):
        read(tmp_path / "a.csv")


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16"])
@pytest.mark.parametrize("before", [0, 5000])
@pytest.mark.parametrize("cell", ["停产\0裁员", "\0停产", "a\0b", "ab\0"])
def test_a_nul_is_refused_wherever_it_stands(tmp_path, encoding, before, cell):
    lines = ["text,label", *["停产裁员，“罢工”,组织"] * before, f"{cell},组织", "停产裁员,组织", ""]
    (tmp_path / "a.csv").write_bytes("\n".join(lines).encode(encoding))
    with pytest.raises(DatasetError, match=rf"a\.csv:{before + 2}: the line holds a NUL byte; remove it"):
        read(tmp_path / "a.csv")


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_every_line_end_is_read(tmp_path, end):
    table, rows = read(write_rows(tmp_path / "a.csv", end=end))
    assert [cells for _, cells in rows] == ROWS[1:]
    assert ("lines end with CR" in table.form) == (end == "\r")


def test_blank_lines_are_skipped_and_lines_counted(tmp_path):
    (tmp_path / "a.csv").write_bytes(b'\n\ntext,label\n\n"a\nb",x\n , \nc,y\n')
    table, rows = read(tmp_path / "a.csv")
    assert (table.header_row, rows) == (3, [(5, ["a\nb", "x"]), (8, ["c", "y"])])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('text,label\na,x\n"b,y\nc,z\n', r"a\.csv:3: the row that begins here cannot be read .*a quotation mark opens"),
        ('text,label\na,x\n"b" c,y\n', r"a\.csv:3: .*--quotes false"),
        ("text,label\nb, c,y\n", r"a\.csv:2: the row has 3 cells and the first row 2; put cells that hold commas"),
        ("text,label\nb\nc,y\n", r"a\.csv:2: the row ends after 1 cells, and 2 are needed; put cells that hold line"),
        ("text;label\nb;\nc\n", r"a\.csv:3: the row ends after 1 cells, and 2 are needed"),
        (
            "label,words\nx,b\n",
            r"a\.csv:1: there is no column 'text'; row 1 has 'label', 'words'; .* if that row is no",
        ),
        ("x\ny\n", r"there is no column 'text'"),
        ("\n\n", "row 1 has nothing"),
    ],
)
def test_a_row_that_can_be_read_in_two_ways_is_named(tmp_path, content, reason):
    (tmp_path / "a.csv").write_text(content, encoding="utf-8")
    with pytest.raises(DatasetError, match=reason):
        read(tmp_path / "a.csv")


def test_quotation_marks_can_be_part_of_cells(tmp_path):
    (tmp_path / "a.tsv").write_text('text\tlabel\n"Hello" she said\tx\n"\ty\n', encoding="utf-8")
    assert read(tmp_path / "a.tsv", quotes=False)[1] == [(2, ['"Hello" she said', "x"]), (3, ['"', "y"])]


def test_columns_by_number_need_no_header(tmp_path):
    (tmp_path / "a.tsv").write_text("a, b, c\tx\nd, e\ty\n", encoding="utf-8")
    table, rows = read(tmp_path / "a.tsv", "1", "2", header_row=0)
    assert (table.places(["2", "1"]), rows) == ([1, 0], [(1, ["a, b, c", "x"]), (2, ["d, e", "y"])])
    with pytest.raises(DatasetError, match="no column 'text', as --header_row 0 says that no row names them"):
        read(tmp_path / "a.tsv", "text", header_row=0)
    with pytest.raises(DatasetError, match="the row ends after 2 cells, and 3 are needed"):
        read(tmp_path / "a.tsv", "1", "3", header_row=0)


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=; ", "\ufeffsep=;"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_first_line_that_says_the_delimiter_is_no_row(tmp_path, first, end):
    rows = [first, "text;label", "a, b;x", "c, d;y"]
    (tmp_path / "a.csv").write_bytes("".join(row + end for row in rows).encode())
    table, found = read(tmp_path / "a.csv")
    assert (table.header_row, found) == (2, [(3, ["a, b", "x"]), (4, ["c, d", "y"])])
    assert table.form.startswith("text with semicolons")
    assert len(read(tmp_path / "a.csv", "1", "2", header_row=0)[1]) == 3


def test_json_lines_are_read_by_their_keys(tmp_path):
    path = tmp_path / "a.jsonl"
    records = [{"text": "a\u2028b", "label": ["x"]}, {"label": None, "text": 5}, {"text": "c", "more": {"d": 10**18}}]
    path.write_bytes(b"\xef\xbb\xbf" + b"\r".join(json.dumps(record).encode() for record in records))
    table, rows = read(path)
    assert (table.keyed, table.header) == (True, ["text", "label", "more"])
    assert rows == [(1, ["a\u2028b", ["x"], ""]), (2, ["5", "", ""]), (3, ["c", "", f'{{"d": {10**18}}}'])]
    with pytest.raises(DatasetError, match="there is no key '1'; the rows have 'text', 'label', 'more'"):
        table.places(["1"])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"text": "a"}\n{"text": ', r"a\.jsonl:2: the line is no JSON"),
        ('{"text": "a"}\n["b"]\n', r"a\.jsonl:2: a JSON object is needed"),
        ('{"text": "a"}\n{"text": NaN}\n', r"a\.jsonl:2: the line is no JSON .NaN is no number"),
        ('{"text": "a"}\n{"text": "\\ud83d b"}\n', r"a\.jsonl:2: .*half of a surrogate pair at character 1"),
        ('{"text": "a"}\n{"text": "b", "t\\u0065xt": "c"}\n', r"a\.jsonl:2: .*an object has the key 'text' twice"),
        ('[{"text": "a"}]', "is one JSON array; write one object per line"),
        ('{"text": ' + "[" * 100_000, "the line is no JSON"),
        ("<?xml version='1.0'?><Workbook/>", "is a page or a document"),
    ],
)
def test_what_is_no_table_is_named(tmp_path, content, reason):
    (tmp_path / "a.jsonl").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=reason):
        read(tmp_path / "a.jsonl", "text")


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path, reason in ((tmp_path / "absent.csv", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(InputError, match=f"cannot read .*{reason}"):
            list(read_columns(path, ["text"]))
