"""What bulk scoring is told."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.compute.runtimes import PRECISIONS, RUNTIMES
from pipeline.errors import InputError
from pipeline.option_values import AUTO
from pipeline.options import Options, option

PARQUET, JSON_LINES, CSV, TEXTS, LABELLED = FORMATS = ("parquet", "jsonl", "csv", "text", "labelled")
PROCESSES, JOB, RAY, SPARK = ENGINES = ("processes", "job", "ray", "spark")
REFUSE, REDO = "refuse", "redo"
INDEX_VARIABLE = "JOB_COMPLETION_INDEX"
"""In which Kubernetes tells a pod of an Indexed Job its number."""


@dataclass(frozen=True)
class ReadingOptions(Options):
    """What is read of the input."""

    format: str = option(
        AUTO,
        "form of the input; text: a text on each line; labelled: rows of a dataset, whose labels are passed over; "
        "auto: by the names of the files",
        choices=(AUTO, *FORMATS),
    )
    text_column: str = option("text", "column, or field, of the text")
    id_column: str | None = option(None, "column, or field, of the id (made of the file and the place in it)")
    sample: float | None = option(None, "share of the rows that is scored, always the same ones", above=0, at_most=1)
    shard_bytes: int = option(
        4 << 20, "files of lines that are not compressed are cut into shards of so many bytes", at_least=1 << 10
    )

    def check(self) -> None:
        super().check()
        if self.text_column == self.id_column:
            raise InputError(f"--text_column and --id_column are both {self.id_column!r}; leave --id_column out")


@dataclass(frozen=True)
class AnsweringOptions(Options):
    """What is answered, and what computes it."""

    promise: float | None = option(
        None, "answer only labels of this promised precision, one that the bundle holds", above=0, below=1
    )
    scores: bool = option(False, "write every label's score, too")
    runtime: str = option(AUTO, "library that computes; auto: what the release gate chose", choices=(AUTO, *RUNTIMES))
    precision: str = option(
        AUTO, "number format that it computes in; auto: what the release gate chose", choices=(AUTO, *PRECISIONS)
    )


@dataclass(frozen=True)
class BulkOptions(ReadingOptions, AnsweringOptions):
    """Which texts are scored, by what, and where the answers go."""

    input: tuple[str, ...] = option(help="files, folders, patterns such as 'in/*.parquet', or URLs that fsspec opens")
    bundle: Path = option(help="folder of the bundle")
    output_dir: Path = option(help="folder of the answers; one that was begun by this command is gone on with")
    engine: str = option(
        PROCESSES,
        "what runs it: processes of this machine; job: a pod of a Kubernetes Indexed Job; ray: actors of a Ray "
        "cluster; spark: tasks of a Spark cluster",
        choices=ENGINES,
    )
    processes: int | None = option(
        None, "worker processes, actors or tasks at once (as many as --threads leaves cores for here)", at_least=1
    )
    threads: int = option(1, "processor threads of each worker process", at_least=1, at_most=1024)
    changed: str = option(
        REFUSE, "what is done where a file that was scored has changed or is gone", choices=(REFUSE, REDO)
    )
    limit: int | None = option(None, "score at most so many shards now, the same command goes on", at_least=1)
    dry_run: bool = option(False, "score some rows, write nothing, and tell what all would take")
    address: str | None = option(
        None, "of the Ray cluster, or Spark's master (one is started here); with --engine ray or spark"
    )
    conf: tuple[str, ...] = option((), "Spark's own settings, each NAME=VALUE; with --engine spark", repeated=True)
    completions: int | None = option(None, "pods of the job; with --engine job", at_least=1)
    index: int | None = option(None, f"number of this pod from 0; with --engine job (${INDEX_VARIABLE})", at_least=0)
    finish: bool = option(False, "check that all pods are done, and close the output; with --engine job")

    def check(self) -> None:
        super().check()
        job = {"completions": self.completions, "index": self.index, "finish": self.finish or None}
        if self.engine != JOB and (given := [name for name, value in job.items() if value is not None]):
            raise InputError(f"--{given[0]} is of --engine job; give that, or leave --{given[0]} out")
        if self.engine not in (RAY, SPARK) and self.address is not None:
            raise InputError("--address is of --engine ray or spark; give one of them, or leave --address out")
        if self.engine != SPARK and self.conf:
            raise InputError("--conf is of --engine spark; give that, or leave --conf out")
        if wrong := [each for each in self.conf if not each.startswith("spark.") or "=" not in each]:
            raise InputError(f"--conf is {wrong[0]!r:.60}; give NAME=VALUE of a setting whose name begins with spark.")
        if self.engine == JOB and self.completions is None:
            raise InputError("--engine job needs --completions, the number of pods, as the Job's spec has it")
        if self.engine == JOB and self.changed == REDO:
            raise InputError("--changed redo is of --engine processes; give a job a new --output_dir")

    @property
    def workers(self) -> int:
        """Worker processes."""
        return self.processes or max(1, len(os.sched_getaffinity(0)) // self.threads)

    @property
    def pod(self) -> int | None:
        """The number of this pod; None where there are none, or all are looked at.

        Raises:
            InputError: it is not told, is no number, or is not below `completions`.
        """
        if self.engine != JOB or self.finish:
            return None
        told = os.environ.get(INDEX_VARIABLE, "") if self.index is None else str(self.index)
        if not told.isdecimal() or int(told) >= (self.completions or 0):
            what = f"--index, or ${INDEX_VARIABLE}, is {told!r:.20}"
            raise InputError(f"{what}; give the number of this pod, from 0 to {(self.completions or 1) - 1}")
        return int(told)

    def answering(self) -> Mapping[str, Any]:
        """All options that the answers, and how they lie in parts, depend on."""
        names = [*ReadingOptions.__dataclass_fields__, *AnsweringOptions.__dataclass_fields__]
        return {name: getattr(self, name) for name in names}

    def digest(self) -> str:
        """12 hexadecimal digits that change with any of `answering`."""
        return hashlib.sha256(json.dumps(self.answering(), sort_keys=True).encode()).hexdigest()[:12]
