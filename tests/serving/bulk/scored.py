"""Files of texts in every form, and what became of them."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.files.bundle import Bundle
from serving.bulk.ledger import Ledger
from serving.bulk.options import BulkOptions
from serving.bulk.scoring import Scorer, score_shard
from serving.bulk.shards import plan
from serving.bulk.sources import find_sources


def as_parquet(texts: Sequence[str]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"id": range(len(texts)), "text": texts}), sink, row_group_size=30)
    return sink.getvalue()


def as_json_lines(texts: Sequence[str]) -> bytes:
    rows = ({"id": str(number), "text": text} for number, text in enumerate(texts))
    return b"".join(f"{json.dumps(row)}\n".encode() for row in rows)


def as_csv(texts: Sequence[str]) -> bytes:
    stream = io.StringIO()
    csv.writer(stream).writerows([("id", "text"), *enumerate(texts)])
    return stream.getvalue().encode()


def as_lines(texts: Sequence[str]) -> bytes:
    return "".join(f"{text}\n" for text in texts).encode()


def as_zstd(content: bytes) -> bytes:
    half = len(content) // 2  # two frames, as tools that append write them
    return b"".join(pa.compress(part, "zstd", asbytes=True) for part in (content[:half], content[half:]))


FILES: dict[str, Callable[[Sequence[str]], bytes]] = {
    "a.parquet": as_parquet,
    "a.jsonl": as_json_lines,
    "a.jsonl.gz": lambda texts: gzip.compress(as_json_lines(texts)),
    "a.csv": as_csv,
    "a.csv.zst": lambda texts: as_zstd(as_csv(texts)),
    "a.txt": as_lines,
    "a.txt.gz": lambda texts: gzip.compress(as_lines(texts)),
    "a.txt.zst": lambda texts: as_zstd(as_lines(texts)),
}
WITH_IDS = ("parquet", "jsonl", "csv")


def run_here(options: BulkOptions, scorer: Scorer) -> None:
    """Answer what is to do in this process."""
    bundle = scorer.predictor.bundle
    with Ledger(options, bundle.identity, shards_of(options, bundle)) as ledger:
        for shard in ledger.to_do:
            draft = ledger.draft(shard)
            ledger.commit(shard, score_shard(shard, scorer, options, draft), draft)


def shards_of(options: BulkOptions, bundle: Bundle):
    return plan(find_sources(options), options, bundle.hierarchy)


def answers(output: Path) -> list[tuple[str, list[tuple[str, float]]]]:
    """Id and labels of every row of every part, in the order of the input."""
    entries = [json.loads(line) for path in output.glob("manifest*.jsonl") for line in path.read_text().splitlines()]
    assert len({entry["shard"] for entry in entries}) == len(entries)
    parts = [output / "parts" / f"{entry['stem']}.parquet" for entry in entries]
    assert sorted(parts) == sorted((output / "parts").iterdir())
    rows = [row for part in parts for row in pq.read_table(part).to_pylist()]
    return [(row["id"], list(zip(row["labels"], row["confidences"]))) for row in rows]


def bad_rows(output: Path) -> list[dict[str, str]]:
    files = sorted((output / "bad").iterdir())
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]
