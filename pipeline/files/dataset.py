"""The dataset folder: train.txt, dev.txt, optional test.txt, label.txt and data.txt.

Labelled files hold a text, a tab and the text's label paths joined by commas on each line; label.txt a label path
per line; data.txt a text per line. A comma within a label is written `\\,`. All are UTF-8, and a line ends with LF or
CR LF. Reading streams, so that a file may be larger than memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

from pipeline.errors import DatasetError, InputError
from pipeline.files.atomic import atomic_writer
from pipeline.files.wide_encodings import START_BYTES, wide_encoding
from pipeline.labels.hierarchy import LabelHierarchy, as_seen, composed, path_fault, spelt
from pipeline.text.normalisation import text_fault

TRAIN_FILE, DEV_FILE, TEST_FILE = "train.txt", "dev.txt", "test.txt"
LABEL_FILE, DATA_FILE = "label.txt", "data.txt"
MAX_LINE_BYTES = 1 << 24
"""Of a line: a text and its labels."""
_DELIMITER, _COMMA = ",", "\\,"
_FIELD_END = re.compile(r"(?<!\\),")


def evaluation_file(folder: Path) -> Path:
    """The file that a dataset folder is measured on: test.txt, or dev.txt where there is none."""
    return folder / (TEST_FILE if (folder / TEST_FILE).exists() else DEV_FILE)


class Example(NamedTuple):
    """A text and the positions of its labels in the hierarchy, ancestors included, ascending."""

    text: str
    labels: tuple[int, ...]


@dataclass
class ReadReport:
    """What a reader saw; filled while the file is read."""

    rows: int = 0
    rows_completed: int = 0
    ancestors_added: int = 0
    added_to: dict[str, int] = field(default_factory=dict)

    def summary(self) -> str:
        """One sentence for the log."""
        if not self.rows_completed:
            return f"{self.rows} rows"
        often = sorted(self.added_to.items(), key=lambda item: -item[1])[:3]
        examples = ", ".join(f"{label} ({count})" for label, count in often)
        return (
            f"{self.rows} rows; {self.rows_completed} of them left out ancestors, "
            f"{self.ancestors_added} were added, most often {examples}"
        )


def read_lines(source: Path | str | Iterable[bytes]) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line without its ending) of a UTF-8 file; a byte order mark is dropped.

    A binary stream, or anything else that gives lines, is read as well; its `name` stands in messages.

    Raises:
        InputError: the file is missing or unreadable.
        DatasetError: a line is not UTF-8, or longer than MAX_LINE_BYTES.
    """
    if isinstance(source, (str, Path)):
        try:
            with open(source, "rb") as stream:
                yield from _decoded_lines(bounded_lines(stream), str(source))
        except OSError as error:
            raise InputError(f"cannot read {source}: {error.strerror}") from error
    else:
        yield from _decoded_lines(source, _name(source))


def bounded_lines(stream: IO[bytes]) -> Iterator[bytes]:
    """The lines of a stream with their endings; of one that is longer than MAX_LINE_BYTES, pieces that are."""
    return iter(lambda: stream.readline(MAX_LINE_BYTES + 1), b"")


def _name(source: object) -> str:
    return str(source) if isinstance(source, (str, Path)) else getattr(source, "name", "input")


def _decoded_lines(stream: Iterable[bytes], name: str) -> Iterator[tuple[int, str]]:
    lines = iter(stream)
    for number, raw in enumerate(lines, start=1):
        if len(raw) > MAX_LINE_BYTES:
            raise DatasetError(name, number, f"the line is longer than {MAX_LINE_BYTES:,} bytes; shorten it")
        try:
            line = raw.decode("utf-8").removeprefix("\ufeff")  # also where files were joined, each with a mark
        except UnicodeDecodeError as error:
            raise DatasetError(name, number, _encoding_fault(raw, _wide(number, raw, lines), error)) from error
        line = line.rstrip("\r\n")
        if "\r" in line:
            reason = "the line holds a carriage return; let lines end with LF, for example with tr '\\r' '\\n'"
            raise DatasetError(name, number, reason)
        if "\0" in line:
            form = _wide(number, raw, lines)
            advice = f"as {form} has; {_CONVERT.format(form)}" if form else "which is no text; remove it"
            raise DatasetError(name, number, f"the line holds a NUL byte, {advice}")
        yield number, line


_CONVERT = "convert the file to UTF-8, for example with iconv -f {} -t UTF-8"


def _encoding_fault(raw: bytes, wide: str | None, error: UnicodeDecodeError) -> str:
    """What the line is instead of UTF-8, and what to do."""
    if wide:
        return f"the file is {wide}; {_CONVERT.format(wide)}"
    byte = f"byte {error.start + 1} (0x{raw[error.start]:02x}) is not UTF-8"
    try:
        return f"{byte}; read as GB18030 it is {raw.decode('gb18030').strip()!r:.40}; {_CONVERT.format('GB18030')}"
    except UnicodeDecodeError:
        return f"{byte}, and the line is not GB18030 either; save the file as UTF-8 with the program that wrote it"


def _wide(number: int, raw: bytes, following: Iterator[bytes]) -> str | None:
    """The encoding of a file of two or four bytes a character, told in its first line."""
    pieces = [raw]
    while number == 1 and sum(map(len, pieces)) < START_BYTES and (piece := next(following, b"")):
        pieces.append(piece)
    return wide_encoding(b"".join(pieces)) if number == 1 else None


def read_labels(path: Path | str) -> LabelHierarchy:
    """The hierarchy that label.txt lists.

    Raises:
        InputError: the file is missing.
        DatasetError: it is empty, not UTF-8, or a line is blank, malformed, a repetition, or lacks its parent.
    """
    first_line: dict[str, int] = {}
    for number, line in read_lines(path):
        label = composed(line.strip().replace(_COMMA, _DELIMITER))
        if label in first_line:
            raise DatasetError(path, number, f"label {label!r} is listed already in line {first_line[label]}")
        if not label:
            raise DatasetError(path, number, "the line is empty; give one label path per line")
        first_line[label] = number
    try:
        return LabelHierarchy(first_line)
    except InputError as error:
        quoted = (
            number
            for label, number in first_line.items()
            if str(error).startswith((f"label {label!r} ", f"label {spelt(label)} "))
        )
        raise DatasetError(path, next(quoted, None), str(error)) from error


def read_examples(
    source: Path | str | Iterable[bytes], hierarchy: LabelHierarchy, report: ReadReport | None = None
) -> Iterator[Example]:
    """Yield the examples of a labelled file; ancestors that a row leaves out are added and counted in `report`.

    Raises:
        InputError: the file is missing.
        DatasetError: a line is not UTF-8, has no tab or several, an empty text, no label, an unknown or a
            repeated label.
    """
    report = report if report is not None else ReadReport()
    for number, line in read_lines(source):
        text, paths = _split_row(_name(source), number, line, hierarchy)
        positions = hierarchy.with_ancestors(paths)
        report.rows += 1
        added = positions.difference(hierarchy.index[label] for label in paths)
        if added:
            report.rows_completed += 1
            report.ancestors_added += len(added)
            for position in added:
                label = hierarchy.labels[position]
                report.added_to[label] = report.added_to.get(label, 0) + 1
        yield Example(text, tuple(sorted(positions)))


def _split_row(path: str, number: int, line: str, hierarchy: LabelHierarchy) -> tuple[str, list[str]]:
    text, *rest = line.split("\t")
    if not rest:
        raise DatasetError(path, number, "there is no tab; write the text, a tab, and its labels joined by commas")
    if len(rest) > 1:
        raise DatasetError(path, number, f"there are {len(rest)} tabs; a text must not contain a tab")
    fault = text_fault(text)
    if fault:
        raise DatasetError(path, number, fault)
    paths = split_labels(rest[0])
    if not paths:
        raise DatasetError(path, number, f"no label follows the tab; texts without labels belong in {DATA_FILE}")
    for place, label in enumerate(paths):
        if label not in hierarchy.index:
            raise DatasetError(path, number, _unknown_label(paths, place, hierarchy))
        if label in paths[:place]:
            raise DatasetError(path, number, f"label {label!r} is given twice")
    return text, paths


def _unknown_label(paths: Sequence[str], place: int, hierarchy: LabelHierarchy) -> str:
    for end in range(place + 2, len(paths) + 1):
        for glue in (_DELIMITER, f"{_DELIMITER} "):
            if (joined := glue.join(paths[place:end])) in hierarchy.index:
                return f"a comma separates labels; write the label {joined!r} as {joined.replace(_DELIMITER, _COMMA)}"
    unknown = paths[place]
    if alike := next((label for label in hierarchy.labels if as_seen(label) == as_seen(unknown)), None):
        return f"label {spelt(unknown)} looks like {spelt(alike)} of {LABEL_FILE} and is another one; write that"
    return path_fault(unknown) or f"unknown label {unknown!r}; add it to {LABEL_FILE} or correct it"


def split_labels(words: str) -> list[str]:
    """The label paths of a labelled row, as `join_labels` wrote them; none where there is only white space."""
    if not words.strip():
        return []
    return [composed(label.strip().replace(_COMMA, _DELIMITER)) for label in _FIELD_END.split(words)]


def join_labels(paths: Iterable[str]) -> str:
    """Label paths as a labelled row holds them: joined by commas, a comma within a label written `\\,`."""
    return _DELIMITER.join(path.replace(_DELIMITER, _COMMA) for path in paths)


def read_texts(source: Path | str | Iterable[bytes], tabs: bool = False) -> Iterator[str]:
    """Yield the texts of an unlabelled file, one per line.

    Args:
        tabs: let texts hold tabs; otherwise they are refused, or a row's labels would become part of its text.

    Raises:
        InputError: the file is missing.
        DatasetError: a line is not UTF-8, or no text that can be classified, or holds a tab.
    """
    for number, line in read_lines(source):
        fault = text_fault(line)
        if not fault and "\t" in line and not tabs:
            fault = "there is a tab, as in a labelled row; give the texts alone, for example by cut -f1"
        if fault:
            raise DatasetError(_name(source), number, fault)
        yield line


def write_labels(path: Path | str, hierarchy: LabelHierarchy) -> None:
    """Write label.txt atomically."""
    _write_lines(path, hierarchy.labels)


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
