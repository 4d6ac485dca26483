"""The dataset folder: train.txt, dev.txt, optional test.txt, label.txt, optional graph.txt, and data.txt.

Labelled files hold a text, a tab and the text's label paths joined by commas on each line; a text without labels, or
without a tab, is a negative, which belongs nowhere. label.txt holds a label path per line, data.txt a text per line.
graph.txt makes a graph of the labels: a parent, a tab and a child on each line, by their paths in label.txt, where the
child lies below that parent, too. A comma within a label is written `\\,`. All are UTF-8, and a line ends with LF or
CR LF. Reading streams, so that a file may be larger than memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, NamedTuple

from pipeline.errors import DatasetError, InputError
from pipeline.files.atomic import atomic_writer
from pipeline.files.lines import check_holds_texts, file_name, read_lines
from pipeline.labels.graph import Edge, EdgeFault
from pipeline.labels.hierarchy import LabelHierarchy, as_seen, composed, path_fault, spelt
from pipeline.text.normalisation import text_fault

TRAIN_FILE, DEV_FILE, TEST_FILE = "train.txt", "dev.txt", "test.txt"
LABEL_FILE, GRAPH_FILE, DATA_FILE = "label.txt", "graph.txt", "data.txt"
KEEP, REFUSE = "keep", "refuse"
"""What may be done with negatives."""
_DELIMITER, _COMMA = ",", "\\,"
_FIELD_END = re.compile(r"(?<!\\),")


def graph_file(label_path: Path | str) -> Path:
    """Where the edges stand that make a graph of the labels in a file, if there are any."""
    return Path(label_path).with_name(GRAPH_FILE)


def evaluation_file(folder: Path) -> Path:
    """The file that a dataset folder is measured on: test.txt, or dev.txt where there is none."""
    return folder / (TEST_FILE if (folder / TEST_FILE).exists() else DEV_FILE)


def is_path(name: str) -> bool:
    """Whether a file is named by its path: with a slash; without one, it lies in the dataset folder.

    So does one below that folder, such as `more/rows.txt`, where there is no such path.
    """
    return name.startswith(("/", "./", "../")) or ("/" in name and Path(name).exists())


def file_in(folder: Path, name: str) -> Path:
    """The file in a folder; raises InputError where it lies not there but here."""
    if Path(name).exists() and not (folder / name).exists():
        raise InputError(f"there is no {folder / name}; give ./{name} for the file in this folder")
    return folder / name


class Example(NamedTuple):
    """A text and the positions of its labels in the hierarchy, ancestors included, ascending; none of a negative."""

    text: str
    labels: tuple[int, ...]


@dataclass
class ReadReport:
    """What a reader saw; filled while the file is read."""

    rows: int = 0
    negatives: int = 0
    rows_completed: int = 0
    ancestors_added: int = 0
    added_to: dict[str, int] = field(default_factory=dict)

    def summary(self) -> str:
        """One sentence for the log."""
        rows = f"{self.rows} rows"
        if self.negatives:
            rows += f", {self.negatives} of them without a label: texts that belong nowhere"
        if not self.rows_completed:
            return rows
        often = sorted(self.added_to.items(), key=lambda item: -item[1])[:3]
        examples = ", ".join(f"{label} ({count})" for label, count in often)
        return (
            f"{rows}; {self.rows_completed} of them left out ancestors, "
            f"{self.ancestors_added} were added, most often {examples}"
        )


def read_labels(path: Path | str) -> LabelHierarchy:
    """The hierarchy that label.txt lists, a graph where graph.txt lies beside it.

    Raises:
        InputError: the file is missing.
        DatasetError: it is empty, not UTF-8, or a line is blank, malformed, a repetition, or lacks its parent; or
            graph.txt has no line, or one that is no edge or cannot be one.
    """
    first_line: dict[str, int] = {}
    for number, line in read_lines(path):
        label = _plain(line)
        if label in first_line:
            raise DatasetError(path, number, f"label {label!r} is listed already in line {first_line[label]}")
        if not label:
            raise DatasetError(path, number, "the line is empty; give one label path per line")
        first_line[label] = number
    graph_path = graph_file(path)
    edges = _read_edges(graph_path) if graph_path.exists() else {}
    try:
        return LabelHierarchy(first_line, edges)
    except EdgeFault as error:
        raise DatasetError(graph_path, edges[error.edge], error.reason) from error
    except InputError as error:
        quoted = (
            number
            for label, number in first_line.items()
            if str(error).startswith((f"label {label!r} ", f"label {spelt(label)} "))
        )
        raise DatasetError(path, next(quoted, None), str(error)) from error


def _read_edges(path: Path) -> dict[Edge, int]:
    """The edges of graph.txt, each with its line."""
    edges: dict[Edge, int] = {}
    for number, line in read_lines(path):
        ends = tuple(map(_plain, line.split("\t")))
        if len(ends) != 2 or not all(ends):
            raise DatasetError(
                path, number, "the line is no edge; write a parent, a tab, and a child, both label paths"
            )
        if ends in edges:
            raise DatasetError(path, number, f"the edge stands already in line {edges[ends]}; take one out")
        edges[ends] = number
    if not edges:
        raise DatasetError(path, None, f"it has no edge; write one a line, or remove it where {LABEL_FILE} says it all")
    return edges


def _plain(word: str) -> str:
    """A label path as a line of a file has it, without its escapes and in NFC."""
    return composed(word.strip().replace(_COMMA, _DELIMITER))


def read_examples(
    source: Path | str | Iterable[bytes],
    hierarchy: LabelHierarchy,
    report: ReadReport | None = None,
    negatives: str = KEEP,
) -> Iterator[Example]:
    """Yield the examples of a labelled file; ancestors that a row leaves out are added and counted in `report`.

    Args:
        negatives: KEEP, or REFUSE for a file in which every text has to have a label.

    Raises:
        InputError: the file is missing.
        DatasetError: a line is not UTF-8, has several tabs, an empty text, an unknown or a repeated label, a label
            behind something else than a tab, or no label where each has to have one.
    """
    report = report if report is not None else ReadReport()
    for number, line in read_lines(source):
        text, paths = _split_row(file_name(source), number, line, hierarchy)
        if not paths and negatives == REFUSE:
            raise DatasetError(file_name(source), number, "the text has no label, and --negatives refuse is set")
        positions = hierarchy.with_ancestors(paths)
        report.rows += 1
        report.negatives += not paths
        added = positions.difference(map(hierarchy.find, paths))
        if added:
            report.rows_completed += 1
            report.ancestors_added += len(added)
            for position in added:
                label = hierarchy.labels[position]
                report.added_to[label] = report.added_to.get(label, 0) + 1
        yield Example(text, tuple(sorted(positions)))


def _split_row(path: str, number: int, line: str, hierarchy: LabelHierarchy) -> tuple[str, list[str]]:
    text, *rest = line.split("\t")
    if not rest and (label := _label_at_end(text, hierarchy)):
        reason = f"there is no tab before {label!r}; write the text, a tab, and its labels joined by commas"
        raise DatasetError(path, number, reason)
    if len(rest) > 1:
        raise DatasetError(path, number, f"there are {len(rest)} tabs; a text must not contain a tab")
    fault = text_fault(text)
    if fault:
        raise DatasetError(path, number, fault)
    paths = split_labels(rest[0]) if rest else []
    for place, label in enumerate(paths):
        if label not in hierarchy:
            raise DatasetError(path, number, _unknown_label(paths, place, hierarchy))
        if label in paths[:place]:
            raise DatasetError(path, number, f"label {label!r} is given twice")
    return text, paths


def _label_at_end(text: str, hierarchy: LabelHierarchy) -> str | None:
    """The label that the last word of a row without a tab is: the tab was lost, as editors and mails lose it."""
    words = text.split()
    label = split_labels(words[-1])[-1] if words else ""
    return label if label in hierarchy else None


def _unknown_label(paths: Sequence[str], place: int, hierarchy: LabelHierarchy) -> str:
    for end in range(place + 2, len(paths) + 1):
        for glue in (_DELIMITER, f"{_DELIMITER} "):
            if (joined := glue.join(paths[place:end])) in hierarchy:
                return f"a comma separates labels; write the label {joined!r} as {joined.replace(_DELIMITER, _COMMA)}"
    unknown = paths[place]
    if alike := next((label for label in hierarchy.paths if as_seen(label) == as_seen(unknown)), None):
        return f"label {spelt(unknown)} looks like {spelt(alike)} of {LABEL_FILE} and is another one; write that"
    return path_fault(unknown) or f"unknown label {unknown!r}; add it to {LABEL_FILE} or correct it"


def split_labels(words: str) -> list[str]:
    """The label paths of a labelled row, as `join_labels` wrote them; none where there is only white space."""
    if not words.strip():
        return []
    return list(map(_plain, _FIELD_END.split(words)))


def join_labels(paths: Iterable[str]) -> str:
    """Label paths as a labelled row holds them: joined by commas, a comma within a label written `\\,`."""
    return _DELIMITER.join(path.replace(_DELIMITER, _COMMA) for path in paths)


def read_texts(
    source: Path | str | Iterable[bytes], tabs: bool = False, passed_over: Callable[[int], object] | None = None
) -> Iterator[str]:
    """Yield the texts of an unlabelled file, one per line.

    Args:
        tabs: let texts hold tabs; otherwise they are refused, or a row's labels would become part of its text.
        passed_over: takes the numbers of blank lines; without it they are refused.

    Raises:
        InputError: the file is missing, or a table by its name.
        DatasetError: a line is not UTF-8, or no text that can be classified, or holds a tab.
    """
    if isinstance(source, (str, Path)):
        check_holds_texts(source)
    for number, line in read_lines(source):
        if passed_over and not line.strip():
            passed_over(number)
            continue
        fault = text_fault(line)
        if not fault and "\t" in line and not tabs:
            fault = "there is a tab, as in a labelled row; give the texts alone, for example by cut -f1"
        if fault:
            raise DatasetError(file_name(source), number, fault)
        yield line


def write_labels(path: Path | str, hierarchy: LabelHierarchy) -> None:
    """Write label.txt atomically, and graph.txt beside it for a graph."""
    if hierarchy.is_graph:
        _write_lines(graph_file(path), ("\t".join(edge) for edge in hierarchy.edges))
    _write_lines(path, hierarchy.paths)


def write_examples(path: Path | str, examples: Iterable[Example], hierarchy: LabelHierarchy) -> None:
    """Write a labelled file atomically.

    Raises:
        InputError: a text that the format cannot hold: empty, or with a tab or a line break.
    """
    _write_lines(path, (_row(example, hierarchy.labels) for example in examples))


def write_texts(path: Path | str, texts: Iterable[str]) -> None:
    """Write an unlabelled file atomically.

    Raises:
        InputError: a text that the format cannot hold.
    """
    _write_lines(path, (_checked(text) for text in texts))


def _row(example: Example, labels: Sequence[str]) -> str:
    return f"{_checked(example.text)}\t{join_labels(labels[position] for position in example.labels)}"


def _checked(text: str) -> str:
    fault = text_fault(text)
    if fault:
        raise InputError(f"a dataset file cannot hold this text: {fault}")
    for character in "\t\n\r\0":
        if character in text:
            raise InputError(f"a dataset file cannot hold {character!r}, found in the text {text[:40]!r}")
    return text


def _write_lines(path: Path | str, lines: Iterable[str]) -> None:
    with atomic_writer(path) as stream:
        for line in lines:
            stream.write(f"{line}\n".encode())
