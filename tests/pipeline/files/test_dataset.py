import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import DatasetError, InputError
from pipeline.files.dataset import (
    REFUSE,
    Example,
    ReadReport,
    read_examples,
    read_labels,
    read_texts,
    write_examples,
    write_labels,
    write_texts,
)
from pipeline.files.lines import check_holds_texts
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.text.normalisation import text_fault
from tests.conftest import REAL_DATA

LABELS = LabelHierarchy(["人生", "人生##死亡", "灾害/意外", "灾害/意外##车祸"])
COMMAS = LabelHierarchy(["农,林", "农,林##渔, 牧", "农"])


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_rows_are_read_as_the_format_says(tmp_path):
    path = write(
        tmp_path / "train.txt", "老翁过马路遭碾压身亡\t灾害/意外,灾害/意外##车祸,人生,人生##死亡\r\n平安\t人生\n"
    )
    assert list(read_examples(path, LABELS)) == [Example("老翁过马路遭碾压身亡", (0, 1, 2, 3)), Example("平安", (0,))]


def test_ancestors_left_out_are_added_and_counted(tmp_path):
    path = write(tmp_path / "train.txt", "身亡\t人生##死亡\n车祸\t灾害/意外##车祸,灾害/意外\n")
    report = ReadReport()
    assert [example.labels for example in read_examples(path, LABELS, report)] == [(0, 1), (2, 3)]
    assert (report.rows, report.rows_completed, report.ancestors_added) == (2, 1, 1)
    assert "人生 (1)" in report.summary()


def test_a_text_without_a_label_belongs_nowhere(tmp_path):
    hierarchy = LabelHierarchy(["人生", "人生##死亡"])
    path, report = write(tmp_path / "train.txt", "a\t人生\n无关的话\n也无关\t\n还有\t \n"), ReadReport()
    examples = list(read_examples(path, hierarchy, report))
    assert [example.labels for example in examples[1:]] == [()] * 3
    assert report.negatives == 3 and "3 of them without a label: texts that belong nowhere" in report.summary()
    with pytest.raises(DatasetError, match=":2: the text has no label"):
        list(read_examples(path, hierarchy, negatives=REFUSE))
    write_examples(tmp_path / "again.txt", examples, hierarchy)
    assert list(read_examples(tmp_path / "again.txt", hierarchy)) == examples


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        ("a\t人生\n有标签 人生\n", 2, "there is no tab before '人生'"),
        ("a\t人生\n有标签  人生,人生##死亡\n", 2, "there is no tab before '人生##死亡'"),
        ("人生\n", 1, "there is no tab before '人生'"),
        ("a\tb\t人生\n", 1, "2 tabs"),
        (" \t人生\n", 1, "text ' ' has only white space"),
        ("\n", 1, "text is empty"),
        ("a\t人生\n\u200b\t人生\n", 2, "only white space and control characters"),
        ("长" * 200_001 + "\t人生\n", 1, "200,001 characters is longer than the limit"),
        ("a\t人生##结婚\n", 1, "unknown label '人生##结婚'"),
        ("a\t人生,人生\n", 1, "label '人生' is given twice"),
        ("a\t人生,\n", 1, "the label is empty"),
        ("a\t人生 ## 死亡\n", 1, "white space at the end of a segment; write '人生##死亡'"),
        ("一\t人生\r二\t人生\r", 1, "holds a carriage return"),
        ("a\t人生\n".encode("utf-16"), 1, "the file is UTF-16; convert"),
        ("a\tb\n".encode("utf-16-le"), 1, "NUL byte, as UTF-16LE has; .*iconv -f UTF-16LE"),
        ("车祸\t人生\n二\t人生\n".encode("utf-16-be"), 1, "the file is UTF-16BE; .*iconv -f UTF-16BE"),
        ("车祸\t人生\n".encode("utf-16-le"), 1, "the file is UTF-16LE; .*iconv -f UTF-16LE"),
        ("车祸\t人生\n".encode("utf-32"), 1, "the file is UTF-32; .*iconv -f UTF-32 "),
        ("a\tb\n".encode("utf-32-le"), 1, "as UTF-32LE has"),
        ("a\tb\n".encode("utf-32-be"), 1, "as UTF-32BE has"),
        ("车上，重伤\t人生\n一死\t人生\n".encode("utf-16-le"), 1, "UTF-16LE; .*iconv -f UTF-16LE"),
        ("a\0\t人生\n", 1, "holds a NUL byte, which is no text; remove it"),
        ("a\t人生\n\0b\t人生\n", 2, "holds a NUL byte, which is no text; remove it"),
        (b"\xff\t\n", 1, "byte 1 .0xff. is not UTF-8, and the line is not GB18030 either; save the file as UTF-8"),
        ("车祸\t人生\n".encode("gb18030"), 1, "not UTF-8; read as GB18030 it is '车祸.*人生'; convert"),
        ("a\t人生\nb".encode() + b"\xff\xfe\t" + "人生\n".encode(), 2, "byte 2 .0xff. is not UTF-8"),
    ],
)
def test_a_wrong_row_is_named_by_file_line_and_reason(tmp_path, content, line, reason):
    path = write(tmp_path / "train.txt", content)
    with pytest.raises(DatasetError, match=reason) as caught:
        list(read_examples(path, LABELS))
    assert str(caught.value).startswith(f"{path}:{line}: ")


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        ("a\nb\na\n", 3, "label 'a' is listed already in line 1"),
        ("a\nb##c\n", 2, "label 'b##c' has no parent: add 'b'"),
        ("a\n\nb\n", 2, "line is empty"),
        ("a\\\n", 1, "a backslash at its end"),
        ("话题\n话题###元旦\n", 2, "can be read in two ways"),
        ("人生\n人生 ## 死亡\n", 2, "write '人生##死亡'"),
        ("a\nb\x1b[31m\n", 2, "control character U.001B"),
        ("", None, "no labels"),
        ("人生\n死亡\n人生\u200b\n", 3, r"label '人生\\u200b' looks like '人生' and is another one"),
        ("caf\u00e9\ncafe\u0301\n", 2, "is listed already in line 1"),
    ],
)
def test_a_wrong_label_file_is_named_by_line_and_reason(tmp_path, content, line, reason):
    path = write(tmp_path / "label.txt", content)
    with pytest.raises(DatasetError, match=reason) as caught:
        read_labels(path)
    assert caught.value.line == line


def test_labels_and_rows_match_in_either_way_of_composition(tmp_path):
    for listed, given_label in (("cafe\u0301", "caf\u00e9"), ("caf\u00e9", "cafe\u0301")):
        hierarchy = read_labels(write(tmp_path / "label.txt", f"{listed}\n{listed}##a\n"))
        assert hierarchy.labels == ("caf\u00e9", "caf\u00e9##a")
        path = write(tmp_path / "train.txt", f"一\t{given_label}##a\n")
        assert list(read_examples(path, hierarchy)) == [Example("一", (0, 1))]


def test_a_label_that_only_looks_like_a_known_one_is_said_to(tmp_path):
    path = write(tmp_path / "train.txt", "一\t人生\u200b\n")
    with pytest.raises(DatasetError, match=r"train.txt:1: label '人生\\u200b' looks like '人生' of label.txt"):
        list(read_examples(path, LABELS))


def test_a_byte_order_mark_is_no_part_of_the_first_label(tmp_path):
    assert read_labels(write(tmp_path / "label.txt", b"\xef\xbb\xbfa\n")).labels == ("a",)


def test_files_that_were_joined_are_read_as_one(tmp_path):
    path = write(tmp_path / "data.txt", b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n")
    assert list(read_texts(path)) == ["a", "b"]


def test_a_label_may_hold_a_comma(tmp_path):
    write_labels(tmp_path / "label.txt", COMMAS)
    assert read_labels(tmp_path / "label.txt").labels == COMMAS.labels
    examples = [Example("一", (0, 1, 2)), Example("二", (0,))]
    write_examples(tmp_path / "train.txt", examples, COMMAS)
    assert (tmp_path / "train.txt").read_text() == "一\t农\\,林,农\\,林##渔\\, 牧,农\n二\t农\\,林\n"
    assert list(read_examples(tmp_path / "train.txt", COMMAS)) == examples


def test_a_comma_that_was_not_escaped_is_told_how_to_write(tmp_path):
    path = write(tmp_path / "train.txt", "一\t农,林##渔\n")
    with pytest.raises(DatasetError, match="unknown label '林##渔'"):
        list(read_examples(path, COMMAS))
    path = write(tmp_path / "train.txt", "一\t林,果\n")
    with pytest.raises(DatasetError, match=r"a comma separates labels; write the label '林,果' as 林\\,果"):
        list(read_examples(path, LabelHierarchy(["林,果"])))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*data\.txt: No such file"):
        list(read_texts(tmp_path / "data.txt"))


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("tickets.csv", r"serving\.bulk --input .*tickets\.csv --text_column COLUMN reads it"),
        ("TICKETS.CSV.GZ", r"serving\.bulk --input .*TICKETS\.CSV\.GZ "),
        ("rows.parquet", "serving.bulk --input .*rows.parquet "),
        ("rows.jsonl.zst", "serving.bulk --input .*rows.jsonl.zst "),
        ("rows.json", "save it as CSV: .*serving.bulk --input FILE.csv"),
        ("book.xlsx", "save it as CSV: .*serving.bulk --input FILE.csv"),
        ("rows.tsv.bz2", "take its column of texts, for example by cut -f1, or save it as CSV"),
    ],
)
def test_the_lines_of_a_table_are_not_taken_for_texts(tmp_path, name, advice):
    path = write(tmp_path / name, "Text,Label\n一,人生\n")
    with pytest.raises(InputError, match=f"{name} is by its name no file .*; .*{advice}.*; .* rename it to .txt"):
        next(read_texts(path))
    with open(path, "rb") as stream:  # who gives a stream has said what it holds
        assert list(read_texts(stream)) == ["Text,Label", "一,人生"]


@pytest.mark.parametrize("name", ["texts.txt", "texts", "csv", "notes.csv.txt", "2026.01.csv.d/texts", ""])
def test_other_names_are_those_of_texts(name):
    check_holds_texts(name)


def test_a_labelled_row_is_not_taken_for_a_text(tmp_path):
    path = write(tmp_path / "test.txt", "一\n二\t人生\n")
    with pytest.raises(DatasetError, match="test.txt:2: there is a tab, as in a labelled row.* cut -f1"):
        list(read_texts(path))
    assert list(read_texts(path, tabs=True)) == ["一", "二\t人生"]


def test_rows_before_a_wrong_one_have_been_read(tmp_path):
    rows = read_texts(write(tmp_path / "data.txt", "一\n二\n\n"))
    assert [next(rows), next(rows)] == ["一", "二"]
    with pytest.raises(DatasetError, match=":3: text is empty"):
        next(rows)


TEXTS = st.text(st.characters(exclude_characters="\t\n\r\0", exclude_categories=["Cs"]), min_size=1).filter(
    lambda text: not text_fault(text) and not text.startswith("\ufeff")
)


@given(st.lists(st.tuples(TEXTS, st.sets(st.sampled_from(LABELS.labels), min_size=1)), min_size=1))
def test_what_is_written_is_read_back(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("dataset")
    examples = [Example(text, tuple(sorted(LABELS.with_ancestors(paths)))) for text, paths in rows]
    write_labels(folder / "label.txt", LABELS)
    write_examples(folder / "train.txt", examples, LABELS)
    write_texts(folder / "data.txt", [example.text for example in examples])
    assert read_labels(folder / "label.txt").labels == LABELS.labels
    assert list(read_examples(folder / "train.txt", LABELS)) == examples
    assert list(read_texts(folder / "data.txt")) == [example.text for example in examples]


@pytest.mark.parametrize(
    ("name", "labels", "rows"),
    [
        ("duee1", 74, {"train.txt": 10712, "dev.txt": 1190, "test.txt": 1498}),
        ("clinc150", 160, {"train.txt": 14983, "dev.txt": 2998, "test.txt": 4497}),
        ("reuters21578", 123, {"train.txt": 6913, "dev.txt": 760, "test.txt": 3003}),
    ],
)
def test_real_datasets_are_read_whole(name, labels, rows):
    folder = REAL_DATA / name
    if not folder.is_dir():
        pytest.skip(f"the dataset {name} is not on this machine")
    hierarchy = read_labels(folder / "label.txt")
    assert len(hierarchy) == labels
    for file, count in rows.items():
        report = ReadReport()
        examples = list(read_examples(folder / file, hierarchy, report))
        assert (report.rows, report.rows_completed) == (count, 0)
        assert hierarchy.consistent_rows(hierarchy.matrix([example.labels for example in examples])).all()
    assert sum(1 for _ in read_texts(folder / "data.txt")) > 1000


def test_a_text_that_the_format_cannot_hold_leaves_the_old_file(tmp_path):
    path = write(tmp_path / "data.txt", "旧\n")
    with pytest.raises(InputError, match="cannot hold '\\\\t'"):
        write_texts(path, ["新", "a\tb"])
    assert path.read_text() == "旧\n"
    assert [file.name for file in tmp_path.iterdir()] == ["data.txt"]
