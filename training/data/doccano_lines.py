"""Lines of doccano's JSONL: how they are read, and how a row is written for it."""

from __future__ import annotations

import functools
import json
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import DatasetError, InputError
from pipeline.files.lines import read_lines
from pipeline.labels.hierarchy import SEPARATOR
from pipeline.records import parse_json
from training.data.annotated import SPLIT_KEY, Record, split_of
from training.data.label_names import path_of

HIERARCHICAL = "hierarchical"
TASK_TYPES = ("multi_class", "multi_label", HIERARCHICAL)
TEXT_KEYS, LABEL_KEYS, META_KEYS = ("text", "data"), ("label", "labels"), ("meta", "metadata")
FOREIGN_KEYS = ("cats", "accept", "annotations", "answers", "entities", "spans")
"""Where other tools and other kinds of projects keep what was annotated."""
SHOWN_KEYS = 12


def read_records(path: Path, task_type: str = HIERARCHICAL, separator: str = SEPARATOR) -> Iterator[Record]:
    """Yield the rows of doccano's JSONL.

    Args:
        path: the file.
        task_type: one of TASK_TYPES.
        separator: what stands between the segments of a hierarchical label.

    Raises:
        InputError: the file is missing, or an archive.
        DatasetError: a line is no JSON object with a text and a list of labels, or a label cannot be used.
    """
    if path.is_file() and zipfile.is_zipfile(path):
        raise InputError(f"{path} is an archive, as doccano offers it for download; unpack it and give the file in it")
    to_path = functools.lru_cache(maxsize=None)(functools.partial(label_path, task_type=task_type, separator=separator))
    for line, content in read_lines(path):
        if not content.strip():
            continue
        try:
            record = _parse(content)
            labels = [to_path(label) for label in _labels(record)]
            if task_type == "multi_class" and len(set(labels)) > 1:
                raise InputError(
                    f"{len(labels)} labels ({', '.join(labels)}); --task_type multi_class takes one per text, "
                    "multi_label and hierarchical take several"
                )
            text = _text(record)
        except InputError as error:
            raise DatasetError(path, line, str(error)) from error
        yield Record(line, text, labels, split_of(record, *(record.get(key) for key in META_KEYS)))


def _parse(content: str) -> dict[str, Any]:
    try:
        record = parse_json(content)
    except ValueError as error:
        hint = "; export from doccano as JSONL, one object per line" if content.lstrip().startswith(("[", "{")) else ""
        raise InputError(f"the line is no JSON ({error}){hint}") from error
    if not isinstance(record, dict):
        raise InputError(f"a JSON object is needed, not {content.strip():.40}; export from doccano as JSONL")
    return record


def _text(record: dict[str, Any]) -> str:
    for key in TEXT_KEYS:
        if key in record:
            if not isinstance(record[key], str):
                raise InputError(f"{key!r} is {record[key]!r:.40}; a text is needed")
            return record[key]
    raise InputError(
        f"there is no {' or '.join(map(repr, TEXT_KEYS))} among the keys {_keys(record)}; export a text classification "
        "project as JSONL"
    )


def _keys(record: dict[str, Any]) -> str:
    return ", ".join(sorted(record)[:SHOWN_KEYS]) or "(none)"


def _labels(record: dict[str, Any]) -> list[str]:
    value: Any = next((record[key] for key in LABEL_KEYS if record.get(key) is not None), [])
    if not any(key in record for key in LABEL_KEYS) and any(record.get(key) for key in FOREIGN_KEYS):
        raise InputError(
            f"labels are read from {' or '.join(map(repr, LABEL_KEYS))}, and the keys are {_keys(record)}; export from "
            "doccano, or rename the key"
        )
    labels = [value] if isinstance(value, str) else value
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise InputError(
            f"the labels are {json.dumps(value, ensure_ascii=False):.60}; a list of label names is needed, as doccano "
            "exports it from a text classification project"
        )
    return labels


def label_path(label: str, task_type: str = HIERARCHICAL, separator: str = SEPARATOR) -> str:
    """The label path that a label of doccano stands for.

    Raises:
        InputError: it cannot be one; the message says what to change.
    """
    if SEPARATOR in label and (task_type != HIERARCHICAL or separator != SEPARATOR):
        way = f"give --separator {SEPARATOR!r}" if task_type == HIERARCHICAL else "give --task_type hierarchical"
        raise InputError(f"label {label!r} contains {SEPARATOR!r}, which separates levels; {way} or rename the label")
    segments = label.split(separator) if task_type == HIERARCHICAL else [label]
    try:
        return path_of(segments)
    except InputError as error:
        raise InputError(f"{error}; rename the label in doccano") from error


def record_line(text: str, labels: Sequence[str], part: str, **more: Any) -> bytes:
    """A line that doccano imports; it shows what `more` holds as the row's metadata, and keeps it."""
    record = {TEXT_KEYS[0]: text, LABEL_KEYS[0]: list(labels), SPLIT_KEY: part, **more}
    return json.dumps(record, ensure_ascii=False).encode() + b"\n"
