"""Rows on their way into a dataset folder: texts are cleaned, labels get their ancestors, repetitions are left out."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Callable

from pipeline.errors import DatasetError, InputError
from pipeline.labels.hierarchy import SEPARATOR, LabelHierarchy, ancestor_paths
from pipeline.output import counted
from pipeline.text.normalisation import MAX_TEXT_CHARACTERS, comparable, surrogate_fault, text_fault

SHOWN_CONTRADICTIONS = 20

# What ends a line somewhere: for Python's splitlines(), for a browser, for a spreadsheet. And the tab.
_BREAKS = re.compile("[\0\t\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]+")


def single_line(text: str) -> str:
    """`text` as a row of a dataset file can hold it: tabs and line breaks are spaces, and none is at the ends."""
    return _BREAKS.sub(" ", text).strip().lstrip("\ufeff").strip()


def new_texts(texts: Iterable[str], known: Iterable[str], same: Callable[[str], str]) -> list[str]:
    """The texts that are equal to none of `known`, each once and as it came first; `same` is equal for equal texts."""
    seen, new = set(map(same, known)), []
    for text in texts:
        if (key := same(text)) not in seen:
            seen.add(key)
            new.append(text)
    return new


def closed(paths: Iterable[str]) -> list[str]:
    """The paths and all their ancestors, sorted so that a parent stands right before its children."""
    every = {label for path in paths for label in (path, *ancestor_paths(path))}
    return sorted(every, key=lambda path: path.split(SEPARATOR))


@dataclass(frozen=True)
class Row:
    """A labelled text, where it was read, and the file that it has to go to, if any."""

    text: str
    labels: frozenset[str]
    line: int
    file: str | None
    source: Path | str = ""

    @cached_property
    def same(self) -> str:
        """Equal for rows whose texts are one."""
        return comparable(self.text)


@dataclass
class CollectionReport:
    """What happened to the rows on their way in.

    `fate` is that of rows which repeat a text with other labels; `moved` are rows that name another file than an
    earlier row of their text.
    """

    broken_lines: int = 0
    empty: list[tuple[Path | str, int]] = field(default_factory=list)
    repeated: int = 0
    contradictions: list[tuple[Row, Row]] = field(default_factory=list)
    fate: str = "are kept, in the same file; correct them"
    moved: list[tuple[Row, Row]] = field(default_factory=list)

    def notes(self) -> list[str]:
        """A sentence for each thing that a user should know."""
        notes = []
        if self.broken_lines:
            notes.append(f"{counted(self.broken_lines, 'text')} held tabs or line breaks, which became spaces")
        if self.empty:
            notes.append(
                f"left out: {counted(len(self.empty), 'row')} without visible text, the first in line "
                f"{self.empty[0][1]} of {self.empty[0][0]}"
            )
        if self.repeated:
            notes.append(f"left out as repeats of another in text and labels: {counted(self.repeated, 'row')}")
        if self.contradictions:
            notes.append(f"{self.contradicting()}; such rows {self.fate}:")
            notes += self.listed_contradictions()
        if self.moved:
            (first, second), what = self.moved[0], "a text stands in one file alone, where a row first put it"
            notes.append(
                f"{len(self.moved)} rows name another file than an earlier row of their text, and went to that one: "
                f"{second.source}:{second.line} {second.file}, {first.source}:{first.line} {first.file}; {what}"
            )
        return notes

    def contradicting(self) -> str:
        """How many rows contradict others."""
        return f"{counted(len(self.contradictions), 'row')} with a text that stands elsewhere with other labels"

    def listed_contradictions(self) -> list[str]:
        """The first ones, a line each."""
        return [
            f"{second.source}:{second.line}: {second.text!r:.40} is {_listed(second.labels)}, and "
            f"{_listed(first.labels)} in {first.source}:{first.line}"
            for first, second in self.contradictions[:SHOWN_CONTRADICTIONS]
        ]


def _listed(labels: Collection[str]) -> str:
    return ",".join(closed(labels)) or "without a label"


class RowCollector:
    """Takes rows in, cleans their texts, and leaves repetitions out.

    Args:
        source: the file that rows are read from, for messages; it may be changed before another one is read.

    Attributes:
        rows: the labelled rows and those that belong nowhere, in the order in which they came; label sets are shared
            among rows.
        texts: those that came without labels, without repetitions, by what is equal for one text; see `unlabelled`.
        report: what was cleaned and left out.
    """

    def __init__(self, source: Path | str) -> None:
        self.source = source
        self.rows: list[Row] = []
        self.texts: dict[str, str] = {}
        self.report = CollectionReport()
        self._first: dict[str, int] = {}  # places in `rows`
        self._named: dict[str, Row] = {}
        self._contradictory: dict[str, set[frozenset[str]]] = {}
        self._label_sets: dict[frozenset[str], frozenset[str]] = {}

    def add(self, line: int, text: str, labels: Iterable[str], file: str | None = None, reviewed: bool = False) -> None:
        """Take a row in.

        Args:
            line: where it stands in the source.
            text: as it stands there.
            labels: label paths without fault; their ancestors are added. None at all makes it a text to predict.
            file: the name of the labelled file that the row has to go to, if any.
            reviewed: whether somebody saw the text, so that one without labels is a row: it belongs nowhere.

        Raises:
            DatasetError: the text is too long, or cannot be written in UTF-8.
        """
        cleaned = single_line(text)
        self.report.broken_lines += bool(_BREAKS.search(text.strip()))
        fault = surrogate_fault(cleaned)
        if fault is None and len(cleaned) > MAX_TEXT_CHARACTERS:
            fault = text_fault(cleaned)
        if fault:
            raise DatasetError(self.source, line, fault)
        if text_fault(cleaned):
            self.report.empty.append((self.source, line))
            return
        paths = self._label_set(labels)
        if paths or reviewed:
            self._add_labelled(Row(cleaned, paths, line, file, self.source))
        else:
            same = comparable(cleaned)
            self.report.repeated += same in self.texts
            self.texts.setdefault(same, cleaned)

    def unlabelled(self) -> list[str]:
        """The texts that came without labels each time."""
        return [text for same, text in self.texts.items() if same not in self._first]

    def unite(self) -> None:
        """Make one row of those with one text, with the labels of all of them."""
        labels: dict[str, frozenset[str]] = {}
        for row in self.rows:
            labels[row.same] = labels.get(row.same, frozenset()) | row.labels
        self.rows = [replace(self.rows[self._first[same]], labels=every) for same, every in labels.items()]
        self._first = {same: place for place, same in enumerate(labels)}
        self.report.fate = "were united with it"

    def hierarchy(self) -> LabelHierarchy:
        """All labels of all rows.

        Raises:
            InputError: no row has a label.
        """
        paths = closed(path for labels in self._label_sets.values() for path in labels)
        if not paths:
            raise InputError(f"{self.source}: no row has a label; label some texts first")
        return LabelHierarchy(paths)

    def _label_set(self, labels: Iterable[str]) -> frozenset[str]:
        given = frozenset(labels)
        if given not in self._label_sets:
            self._label_sets[given] = frozenset(closed(given))
        return self._label_sets[given]

    def _add_labelled(self, row: Row) -> None:
        place = self._first.setdefault(row.same, len(self.rows))
        if row.file and (named := self._named.setdefault(row.same, row)).file != row.file:
            self.report.moved.append((named, row))
        if place < len(self.rows):
            first = self.rows[place]
            known = self._contradictory.setdefault(row.same, {first.labels})
            if row.labels in known:
                self.report.repeated += 1
                self.rows[place] = replace(first, file=first.file or row.file)
                return
            known.add(row.labels)
            self.report.contradictions.append((first, row))
        self.rows.append(row)
