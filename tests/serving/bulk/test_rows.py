"""Every form of input gives the predictor's answers; what cannot be read is refused by file, or by row, with a word."""

from __future__ import annotations

import gzip
import io
import random
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputError
from serving.bulk.rows import lines, read_rows
from serving.bulk.sources import SourceError
from tests.serving.bulk.scored import (
    FILES,
    WITH_IDS,
    answers,
    as_json_lines,
    as_lines,
    as_parquet,
    bad_rows,
    run_here,
    shards_of,
)


@pytest.mark.parametrize("name", FILES)
def test_every_form_gives_the_predictors_answers(name, options, scorer, texts, expected, tmp_path):
    (tmp_path / "in" / name).write_bytes(FILES[name](texts))
    has_ids = name.split(".")[1] in WITH_IDS
    given = options(id_column="id" if has_ids else None, shard_bytes=1 << 10)
    run_here(given, scorer)
    found = answers(given.output_dir)
    assert [row for _, row in found] == expected
    if has_ids:
        assert [own for own, _ in found] == [str(number) for number in range(len(texts))]
    else:
        content = as_lines(texts)
        places = [int(own.removeprefix(f"{name}@")) for own, _ in found]
        assert [content[place:].split(b"\n")[0].decode() for place in places] == texts


def test_labelled_rows_are_told_by_their_labels(options, scorer, sample_dataset, tmp_path):
    content = (sample_dataset / "dev.txt").read_bytes()
    (tmp_path / "in" / "dev.txt").write_bytes(content)
    run_here(options(), scorer)
    rows = [line.split("\t")[0] for line in content.decode().splitlines()]
    assert [row for _, row in answers(tmp_path / "out")] == [
        list(map(tuple, row)) for row in scorer.predictor.predict(rows)
    ]
    (tmp_path / "in" / "dev.txt").write_text("某公司\t裁员\n")
    with pytest.raises(SourceError, match="no labels of the model; say --format text"):
        shards_of(options(), scorer.predictor.bundle)


@given(st.lists(st.binary(max_size=9).map(lambda raw: raw.replace(b"\n", b"")), max_size=30), st.integers(1, 40))
def test_lines_lie_in_one_range_each_wherever_a_file_is_cut(rows, size):
    content = b"\n".join(rows)
    found = []
    for start in range(0, len(content), size):
        found += lines(io.BytesIO(content), start, min(start + size, len(content)))
    assert [raw for _, raw in found] == content.splitlines(keepends=True) if b"\r" not in content else True
    assert b"".join(raw for _, raw in found) == content
    assert all(content[place:].startswith(raw) for place, raw in found)


def test_a_tab_that_comes_late_is_a_bad_row(options, scorer, tmp_path):
    (tmp_path / "in" / "a.txt").write_text("good\n" * 14_000 + "a\tb\n")
    given = options(shard_bytes=70_000)
    (*_, last) = shards_of(given, scorer.predictor.bundle)
    assert [row.fault for row in read_rows(last, given) if row.fault] == [
        "there is a tab; say --format text where tabs are part of the texts, or --format labelled"
    ]
    assert not any(row.fault for row in read_rows(last, options(format="text")))


BAD_LINES = {
    b"\n": "text is empty",
    b"  \n": "has only white space",
    b"\xff\xfe bad\n": "byte 1 of the line is not UTF-8",
    b"a\rb\n": "the line holds a carriage return",
    b"a\0b\n": "the line holds a NUL byte",
    b"x" * 200_001 + b"\n": "longer than the limit of 200,000",
    b"y" * ((16 << 20) + 1) + b"\n": "the line is longer than 16,777,216 bytes",
}
BAD_JSON = {
    b"{\n": "the line is no JSON",
    b"[]\n": "there is no field 'text'",
    b'{"id": 1}\n': "there is no field 'text'",
    b'{"id": 1, "text": null}\n': "there is no text",
    b'{"id": 1, "text": 5}\n': "the text is int, no string",
    b'{"id": null, "text": "a"}\n': "there is no id",
    b'{"id": 1.5, "text": "a"}\n': "the id is float, neither",
    b'{"id": true, "text": "a"}\n': "the id is bool, neither",
    b'{"id": 1, "id": 2, "text": "a"}\n': "a key stands twice",
    b'{"id": 1, "text": "\\ud800"}\n': "half of a surrogate pair",
    b'{"id": 1, "text": "a\\u0000b"}\n': "the text holds a NUL byte",
    b'{"id": "%s", "text": "a"}\n' % (b"i" * 4097): "the id has 4,097 characters, more than 4,096",
}
BAD_CSV = {
    b"1\n": "there are 1 fields, and 2 names",
    b"1,\n": "text is empty",
    b",a\n": "there is no id",
    b"1,\xff\n": "the text is not UTF-8",
    b"\xff,a\n": "the id is not UTF-8",
    b"1,a\0b\n": "the text holds a NUL byte",
}


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("a.txt", b"\xef\xbb\xbfgood\r\n", BAD_LINES),
        ("a.jsonl", b'{"id": "g", "text": "good"}\n', BAD_JSON),
        ("a.csv", b'id,text\ng,"good, or\nnot"\n', BAD_CSV),
    ],
)
def test_a_bad_row_is_put_aside_with_place_and_reason(name, good, bad, options, scorer, tmp_path):
    (tmp_path / "in" / name).write_bytes(good * 3 + b"".join(bad) if name != "a.csv" else good + b"".join(bad))
    run_here(options(id_column=None if name == "a.txt" else "id", format="auto"), scorer)
    found = bad_rows(tmp_path / "out")
    assert len(answers(tmp_path / "out")) == (1 if name == "a.csv" else 3)
    assert len(found) == len(bad)
    for row, reason in zip(found, bad.values()):
        assert reason in row["reason"]
        assert re.fullmatch(r"a\.\w+[@:]\d+", row["place"])


def test_empty_files_have_no_shards(options, scorer, tmp_path):
    (tmp_path / "in" / "a.txt").touch()
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "in" / "a.parquet")
    assert shards_of(options(), scorer.predictor.bundle) == []


LONG = [random.Random(number).randbytes(5_000).hex() for number in range(300)]
"""Too much to be read when a file is looked at."""


def _ints() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": [1, 2]}), sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.parquet", lambda texts: as_parquet(texts)[:-9], "a.parquet cannot be read"),
        ("a.parquet", lambda texts: _ints(), "column 'text' holds int64; --text_column takes strings"),
        ("a.parquet", lambda texts: b"", "a.parquet cannot be read"),
        ("a.txt", lambda texts: as_lines(texts).decode().encode("utf-16"), "a.txt is UTF-16; convert it to UTF-8"),
        ("a.txt", lambda texts: as_lines(texts).decode().encode("gb18030"), "iconv -f GB18030"),
        ("a.txt.gz", lambda texts: as_lines(texts), "a.txt.gz cannot be read"),
        ("a.txt.gz", lambda texts: b"", "is empty, as no compressed file is"),
        ("a.txt.zst", lambda texts: as_lines(texts), "a.txt.zst cannot be read"),
        ("a.parquet.gz", as_parquet, "Parquet compresses within"),
    ],
)
def test_files_that_are_no_such_files_are_refused_before_anything_is_scored(
    name, content, reason, options, scorer, texts, tmp_path
):
    (tmp_path / "in" / name).write_bytes(content(texts))
    (tmp_path / "in" / "good.txt").write_text("good\n")
    with pytest.raises(InputError, match=reason):
        shards_of(options(), scorer.predictor.bundle)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.txt.gz", lambda texts: gzip.compress(as_lines(LONG))[:-9], "cannot be read to its end"),
        ("a.csv", lambda texts: b"id,words\n", "--text_column text is no column of a.csv, which has id, words; "),
        ("a.csv", lambda texts: b"text,id,text\n", "names 2 columns of a.csv, which has text, id, text"),
        ("a.csv", lambda texts: b'id,text\n1,"a\n', "is no CSV"),
        ("a.csv", lambda texts: b'id,text\n1,"a"b\n', "is no CSV"),
    ],
)
def test_files_that_break_off_are_refused_when_they_are_read(name, content, reason, options, scorer, texts, tmp_path):
    (tmp_path / "in" / name).write_bytes(content(texts))
    with pytest.raises(SourceError, match=reason):
        run_here(options(), scorer)
    assert not any((tmp_path / "out" / "parts").iterdir())


def test_a_sample_is_always_the_same_one(options, scorer, texts, tmp_path):
    (tmp_path / "in" / "a.jsonl").write_bytes(as_json_lines(texts))
    for output in ("one", "two"):
        run_here(options(sample=0.3, output_dir=tmp_path / output, id_column="id"), scorer)
    one, two = (answers(tmp_path / output) for output in ("one", "two"))
    assert one == two
    assert 10 < len(one) < 50
