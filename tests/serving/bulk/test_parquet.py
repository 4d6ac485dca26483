"""Parquet is read in bounded memory, and damage is refused or named by row."""

from __future__ import annotations

import tracemalloc

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serving.bulk.rows import read_rows
from serving.bulk.sources import SourceError
from tests.serving.bulk.scored import answers, as_parquet, bad_rows, run_here, shards_of


def test_null_and_broken_strings_of_parquet_are_bad_rows(options, scorer, tmp_path):
    broken = pa.Array.from_buffers(pa.string(), 2, pa.array([b"\xff", b"good"], pa.binary()).buffers())
    table = pa.table(
        {"text": pa.chunked_array([pa.array(["good", None, ""]), broken]), "id": ["a", "b", "c", "d", None]}
    )
    pq.write_table(table, tmp_path / "in" / "a.parquet")
    run_here(options(id_column="id"), scorer)
    assert [own for own, _ in answers(tmp_path / "out")] == ["a"]
    assert [(row["place"], row["id"]) for row in bad_rows(tmp_path / "out")] == [
        ("a.parquet:2", "b"),
        ("a.parquet:3", "c"),
        ("a.parquet:4", "d"),
        ("a.parquet:5", None),
    ]


def test_a_damaged_footer_loses_no_row_without_a_word(options, scorer, tmp_path):
    content, refused = as_parquet([f"text {number}" for number in range(31)]), 0
    footer = int.from_bytes(content[-8:-4], "little")
    for place in range(len(content) - 8 - footer, len(content) - 8):
        damaged = bytearray(content)
        damaged[place] = (damaged[place] + 2) % 256
        (tmp_path / "in" / "a.parquet").write_bytes(damaged)
        try:
            shards = shards_of(options(), scorer.predictor.bundle)
            assert sum(1 for shard in shards for row in read_rows(shard, options())) == 31, place
        except SourceError:
            refused += 1
    assert 0 < refused < footer


@pytest.mark.parametrize("encoding", ["RLE_DICTIONARY", "DELTA_BYTE_ARRAY"])
def test_a_long_text_in_many_rows_is_held_once(encoding, options, scorer, tmp_path):
    table = pa.table({"text": ["x" * 200_000 + "字"] * 2_000})
    how = {"use_dictionary": True} if encoding == "RLE_DICTIONARY" else {"column_encoding": {"text": encoding}}
    pq.write_table(table, tmp_path / "in" / "a.parquet", **{"use_dictionary": False, **how})
    del table
    (shard,) = shards_of(options(), scorer.predictor.bundle)
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    held = [pa.total_allocated_bytes() for row in read_rows(shard, options()) if row.fault]
    _, of_python = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(held) == 2_000
    assert max(held) - before + of_python < 50e6


def test_an_absent_column_is_named(options, scorer, texts, tmp_path):
    (tmp_path / "in" / "a.parquet").write_bytes(as_parquet(texts))
    with pytest.raises(SourceError, match=r"^--text_column words is no column of .*, which has id, text$"):
        shards_of(options(text_column="words"), scorer.predictor.bundle)
