"""Bulk runs of ever more rows are watched from outside, and their ids are counted."""

import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.memory import run_watched
from benchmarks.serving.memory_growth import check_ids, write_parquet
from pipeline.errors import ClassifierError

CHILD = "held = bytearray(b'x') * 120_000_000; import time; time.sleep(1)"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {CHILD!r}], check=True); sum(range(10**7))"


def test_memory_is_told_of_a_command_and_of_its_children():
    watched = run_watched([sys.executable, "-c", PARENT])
    assert 120 < watched.child_megabytes < 200 and watched.own_megabytes < 100
    assert watched.peak_megabytes == pytest.approx(watched.child_megabytes, rel=0.05)
    assert watched.seconds > 1 and watched.cpu_seconds > 0.05
    with pytest.raises(ClassifierError, match="-c raise SystemExit.* ended with status 7"):
        run_watched([sys.executable, "-c", "raise SystemExit(7)"])


def test_an_id_that_is_missing_or_there_twice_is_noticed(tmp_path):
    write_parquet(tmp_path / "in.parquet", ["a", "b", "c"], 50_001)
    rows = pq.read_table(tmp_path / "in.parquet")
    assert (
        rows["text"].to_pylist()[49_998:] == ["a", "b", "c"]
        and pq.ParquetFile(tmp_path / "in.parquet").num_row_groups == 2
    )
    parts = tmp_path / "parts"
    parts.mkdir()
    first, second = (pa.table({"id": pa.array(ids, pa.string())}) for ids in (["0", "2"], ["1"]))
    pq.write_table(first, parts / "a.parquet")
    with pytest.raises(ClassifierError, match="1 of 3 ids came out 0 times"):
        check_ids(parts, 3)
    pq.write_table(second, parts / "b.parquet")
    check_ids(parts, 3)
    pq.write_table(second, parts / "c.parquet")
    with pytest.raises(ClassifierError, match="1 of 3 ids came out 2 times"):
        check_ids(parts, 3)
