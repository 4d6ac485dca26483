"""What Label Studio exports of a project: JSON, JSON-MIN or CSV, told by the content of the file."""

from __future__ import annotations

import contextlib
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import DatasetError, InputError
from pipeline.files.tables.cells import Table, plain
from pipeline.files.tables.options import TableOptions
from pipeline.files.tables.reading import open_table
from pipeline.labels.label_studio import CHOICES, RESULT, TAXONOMY, chosen
from pipeline.output import counted
from pipeline.records import parse_json
from training.data.annotated import SPLIT_KEY, Record, split_of
from training.data.label_names import path_of
from training.data.label_studio.arrays import read_array

DATA, ANNOTATIONS, META, CANCELLED = "data", "annotations", "meta", "was_cancelled"
BOOKKEEPING = frozenset(
    ("id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement", "history", SPLIT_KEY)
)
"""Keys of JSON-MIN that are no tag of a labelling configuration."""
SHOWN_KEYS = 12


@dataclass
class Export:
    """An exported file.

    Args:
        path: where it is.
        control: name of the tag by which labels were chosen, a column of JSON-MIN and CSV.
        text_key: where the text is in a task's data.
        separator: what stands between the levels of a choice that is no list of names.

    Attributes:
        notes: what was left out, a sentence each; complete once the records are read.
    """

    path: Path
    control: str
    text_key: str
    separator: str
    notes: list[str] = field(default_factory=list)
    _skipped: int = 0
    _own: int = 0
    _others: Counter[str] = field(default_factory=Counter)
    _keys: Counter[str] = field(default_factory=Counter)

    def records(self) -> tuple[str, Iterator[Record]]:
        """What messages call the file, and its annotations, and the tasks that have none.

        Raises:
            InputError: the file is missing, or nothing that Label Studio exports; the iterator raises it, too, and
                where it is of another project.
        """
        try:
            with open(self.path, "rb") as stream:
                start = stream.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
        except OSError as error:
            raise InputError(f"cannot read {self.path}: {error.strerror}") from None
        if not start or zipfile.is_zipfile(self.path):
            what = "an archive; unpack it and give the file in it" if start else "empty"
            raise InputError(f"{self.path} is {what}")
        if start.startswith((b"[", b"{")):
            return f"{self.path}, task", self._of_json()
        return str(self.path), self._of_table()

    def _of_json(self) -> Iterator[Record]:
        for number, task in enumerate(read_array(self.path), start=1):
            line = task["id"] if type(task.get("id")) is int else number
            try:
                yield from self._of_task(line, task) if isinstance(task.get(DATA), dict) else self._of_row(line, task)
            except InputError as error:
                raise DatasetError(f"{self.path}, task", line, str(error)) from None
        self._judge()

    def _of_task(self, line: int, task: Mapping[str, Any]) -> Iterator[Record]:
        data, annotations = task[DATA], task.get(ANNOTATIONS)
        if not isinstance(annotations, list) or not all(isinstance(each, dict) for each in annotations):
            raise InputError(f"there are no {ANNOTATIONS!r}, as in tasks to be imported; give what a project exported")
        text, split = self._text(data), split_of(data, task.get(META))
        if strange := next((each for each in annotations if each.get(CANCELLED) not in (None, False, True)), None):
            raise InputError(f"{CANCELLED!r} of an annotation is {strange[CANCELLED]!r:.40}; true or false is needed")
        done = [each for each in annotations if not each.get(CANCELLED)]
        self._skipped += len(annotations) - len(done)
        if not done:
            yield Record(line, text, [], split)
        for annotation in done:
            yield Record(line, text, self._labels(annotation.get(RESULT)), split, reviewed=True)

    def _labels(self, results: Any) -> list[str]:
        if not isinstance(results, list) or not all(isinstance(each, dict) for each in results):
            raise InputError(f"{RESULT!r} of an annotation is {results!r:.40}; a list of objects is needed")
        labels: list[str] = []
        for result in results:
            if result.get("from_name") != self.control:
                self._others[str(result.get("from_name"))] += 1
                continue
            if result.get("type") not in (TAXONOMY, CHOICES):
                raise InputError(f"{self.control!r} is a {result.get('type')!r:.40}; a Taxonomy or Choices is needed")
            self._own += 1
            labels += self._paths(result.get("value"))
        return labels

    def _of_row(self, line: int, row: Mapping[str, Any]) -> Iterator[Record]:
        """A row of JSON-MIN or CSV: an annotation that nobody cancelled; one without labels lacks their column."""
        value = row.get(self.control)
        if self.control not in row:
            self._keys.update(row.keys() - BOOKKEEPING - {self.text_key})
        self._own += self.control in row
        labels = [] if value is None else self._paths(value)
        yield Record(line, self._text(row), labels, split_of(row), reviewed=True)

    def _of_table(self) -> Iterator[Record]:
        columns = [self.text_key, self.control]
        table = open_table(self.path, TableOptions(), columns, furthest=0)
        for column in columns:
            if column not in table.header:
                option = "--text_key" if column == self.text_key else "--control"
                raise InputError(
                    f"{self.path} has no column {column!r} among {table.named()}; name it by {option}, or export the "
                    "right project"
                )
        yield from self._of_rows(table)

    def _of_rows(self, table: Table) -> Iterator[Record]:
        for row in table.rows:
            cells: dict[str, Any] = {
                name: plain(self.path, row, place, name) for place, name in enumerate(table.header)
            }
            try:
                cells[self.control] = _value(cells[self.control])
                yield from self._of_row(row.number, cells)
            except InputError as error:
                raise DatasetError(self.path, row.number, str(error)) from None
        self._judge()

    def _text(self, data: Mapping[str, Any]) -> str:
        text = data.get(self.text_key)
        if isinstance(text, str):
            return text
        if self.text_key in data:
            raise InputError(f"{self.text_key!r} is {text!r:.40}; a text is needed")
        keys = ", ".join(sorted(data)[:SHOWN_KEYS]) or "(none)"
        raise InputError(f"there is no {self.text_key!r} among the keys {keys}; name that of the text by --text_key")

    def _paths(self, value: Any) -> list[str]:
        return [path_of(names) for names in chosen(value, self.separator)]

    def _judge(self) -> None:
        """Refuse the file of another project, and note what was left out."""
        seen = self._others + self._keys
        others = ", ".join(f"{name!r} ({count})" for name, count in seen.most_common(SHOWN_KEYS))
        if not self._own and others:
            raise InputError(
                f"{self.path}: no annotation is of {self.control!r}, but of {others}; name the tag of the labels by "
                "--control, or export the right project"
            )
        if self._skipped:
            left_out = counted(self._skipped, "annotation")
            self.notes.append(f"{self.path}: left out as skipped or cancelled: {left_out}")
        if self._others:
            self.notes.append(f"{self.path}: left out as of other tags than {self.control!r}: {others}")


def _value(cell: str) -> Any:
    """What a cell of CSV holds: JSON, or one choice as it is; None where nothing was chosen."""
    if not cell:
        return None
    if cell.startswith(("[", "{")):
        with contextlib.suppress(ValueError):
            return parse_json(cell)
    return cell
