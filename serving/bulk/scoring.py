"""From a shard to its part: rows are answered batch by batch and written as Parquet, in their order."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import ClassifierError
from pipeline.files.bundle import Bundle
from pipeline.files.checksums import sha256_file
from pipeline.files.chunks import CHARACTERS_PER_CHUNK, chunks, rows_per_chunk
from pipeline.labels.decoding import Decoder
from pipeline.predictor import Predictor
from pipeline.tensors import PROMISED, TRUNCATED
from serving.bulk.options import BulkOptions
from serving.bulk.rows import Row, read_rows
from serving.bulk.shards import Shard

FORMAT_VERSION = 1
"""Of parts and of the manifest."""
METADATA_KEY = b"bulk"
GROUP_BYTES, GROUP_ROWS = 8 << 20, 1 << 16
"""What is gathered for a row group of a part, at most."""

Tell = Callable[[int], None]
"""Takes the number of texts that were answered just now."""


@dataclass(frozen=True)
class Part:
    """What became of a shard.

    Attributes:
        shard: its name.
        rows, bad_rows, truncated: rows that were answered, that could not be, and that were read in part.
        size, sha256: of the Parquet file.
        bad_sha256: of the file of bad rows; empty where there are none.
    """

    shard: str
    rows: int
    bad_rows: int
    truncated: int
    size: int
    sha256: str
    bad_sha256: str


class Scorer:
    """Answers rows with a bundle, as tables.

    Args:
        bundle: the bundle.
        options: what is answered, and what computes it.

    Attributes:
        predictor: what computes.
        schema: of the tables and of parts, see `docs/en/how-to/bulk.md`.

    Raises:
        InputError, EnvironmentFault, BundleError: as `Predictor` does, or the bundle holds no such promise.
    """

    def __init__(self, bundle: Bundle, options: BulkOptions) -> None:
        self.predictor = Predictor(bundle, options.runtime, options.precision, threads=options.threads)
        self._decoder = chosen_decoder(bundle, options)
        self._scores = options.scores
        fields = [("id", pa.string()), ("labels", pa.list_(pa.string())), ("confidences", pa.list_(pa.float32()))]
        fields += [(PROMISED, pa.list_(pa.float32()))] if self._decoder.promises else []
        fields += [(TRUNCATED, pa.bool_())]
        fields += [("scores", pa.list_(pa.float32()))] if options.scores else []
        said = {
            "format_version": FORMAT_VERSION,
            "bundle": bundle.identity,
            "options": options.answering(),
            "decoding": self._decoder.in_words(),
            "runtime": self.predictor.runtime,
            "precision": self.predictor.precision,
            "labels": self.predictor.labels if options.scores else None,
        }
        text = json.dumps({name: value for name, value in said.items() if value is not None}, ensure_ascii=False)
        self.schema = pa.schema(fields, {METADATA_KEY: text.encode()})

    def table(self, rows: Sequence[Row]) -> pa.RecordBatch:
        """The answers to rows without fault, in their order.

        Raises:
            ClassifierError: the model's scores are not finite.
        """
        logits, truncated = self.predictor.read([row.text for row in rows])
        decoded = self._decoder.decode(logits)
        paths, confidences = decoded.ranked()
        kept = paths != ""
        offsets = pa.array(np.concatenate([[0], kept.sum(axis=1).cumsum()]).astype(np.int32))

        def listed(values: np.ndarray) -> pa.ListArray:
            return pa.ListArray.from_arrays(offsets, pa.array(values[kept]))

        columns = [pa.array([row.id for row in rows], pa.string()), listed(paths), listed(confidences)]
        if self._decoder.promises:
            columns.append(listed(self._decoder.promised(decoded)))
        columns.append(pa.array(truncated, pa.bool_()))
        if self._scores:
            every = np.arange(0, decoded.scores.size + 1, decoded.scores.shape[1], dtype=np.int32)
            columns.append(pa.ListArray.from_arrays(pa.array(every), pa.array(decoded.scores.ravel())))
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


def chosen_decoder(bundle: Bundle, options: BulkOptions) -> Decoder:
    """What decodes; raises InputError where the bundle holds no such promise."""
    decoder = bundle.decoder()
    return decoder if options.promise is None else decoder.promising(options.promise)


def score_shard(
    shard: Shard, scorer: Scorer, options: BulkOptions, stem: Path, tell: Tell = lambda texts: None
) -> Part:
    """Answer a shard's rows; the same shard, bundle and options give the same files, byte for byte, on one machine.

    Args:
        stem: of the files that are written and synced: `stem.parquet`, and `stem.jsonl` of bad rows where there are.
        tell: is told how it goes on.

    Raises:
        SourceError: the file cannot be read, or changed meanwhile.
        OSError: the files cannot be written.
        ClassifierError: the model's scores are not finite.
    """
    answers, refused = stem.with_suffix(".parquet"), stem.with_suffix(".jsonl")
    for old in (answers, refused):
        old.unlink(missing_ok=True)
    counts = _write(shard, scorer, options, answers, refused, tell)
    shard.source.check_unchanged()
    bad_sha256 = sha256_file(refused) if counts.bad_rows else ""
    return Part(shard.name, *counts.told(), answers.stat().st_size, sha256_file(answers), bad_sha256)


@dataclass
class _Counts:
    rows: int = 0
    bad_rows: int = 0
    truncated: int = 0

    def told(self) -> tuple[int, int, int]:
        return self.rows, self.bad_rows, self.truncated


def _write(shard: Shard, scorer: Scorer, options: BulkOptions, answers: Path, refused: Path, tell: Tell) -> _Counts:
    counts, held = _Counts(), []
    rows_at_once = rows_per_chunk(len(scorer.predictor.bundle.hierarchy))
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(open(answers, "wb"))
        bad = None
        with pq.ParquetWriter(stream, scorer.schema, compression="zstd") as writer:
            for chunk in chunks(
                read_rows(shard, options), rows_at_once, CHARACTERS_PER_CHUNK, lambda row: len(row.text) + len(row.id)
            ):
                good = [row for row in chunk if not row.fault]
                if len(good) < len(chunk):
                    bad = bad or stack.enter_context(open(refused, "wb"))
                    bad.write(b"".join(_refusal(row) for row in chunk if row.fault))
                    counts.bad_rows += len(chunk) - len(good)
                if good:
                    held.append(_answered(shard, scorer, good))
                    counts.rows += len(good)
                    counts.truncated += held[-1].column(TRUNCATED).true_count
                if sum(map(len, held)) >= GROUP_ROWS or sum(each.nbytes for each in held) >= GROUP_BYTES:
                    writer.write_table(pa.Table.from_batches(held))
                    held = []
                tell(len(good))
            if held:
                writer.write_table(pa.Table.from_batches(held))
        for file in filter(None, (stream, bad)):
            file.flush()
            os.fsync(file.fileno())
    return counts


def _answered(shard: Shard, scorer: Scorer, rows: Sequence[Row]) -> pa.RecordBatch:
    try:
        return scorer.table(rows)
    except ClassifierError as error:
        raise ClassifierError(f"{shard.name}, from {rows[0].place} to {rows[-1].place}: {error}") from error


def _refusal(row: Row) -> bytes:
    fields = {"place": row.place, "id": None if row.id == row.place else row.id, "reason": row.fault}
    return f"{json.dumps(fields, ensure_ascii=False)}\n".encode()
