"""Rows that people annotated with a tool, on their way into a dataset folder and back."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import DatasetError, InputError
from pipeline.files.dataset import DATA_FILE, LABEL_FILE, read_examples, read_labels, read_texts
from pipeline.labels.hierarchy import SEPARATOR, LabelHierarchy
from pipeline.options import option
from training.data import label_names
from training.data.dataset_folder import LABELLED_FILES, NewDatasetOptions, WrittenDataset, write_dataset
from training.data.outputs import check_outputs
from training.data.row_collector import RowCollector

SPLIT_KEY = "split"
SPLIT_FILES = {name.partition(".")[0]: name for name in (*LABELLED_FILES, DATA_FILE)}
SHOWN_UNKNOWN = 20


class Record(NamedTuple):
    """A row of an export: its number, the text, the labels as paths, and the split that it names.

    `reviewed` says that somebody saw the text, so that one without labels belongs nowhere.
    """

    line: int
    text: str
    labels: list[str]
    split: str | None
    reviewed: bool = False


@dataclass(frozen=True)
class AnnotationOptions(NewDatasetOptions):
    """What is read from an annotation tool, or written for it."""

    separator: str = option(SEPARATOR, "what stands between the levels of a label there, as in --separator=->")
    label_file: Path | None = option(None, "a label.txt whose labels and order are kept; any other label is an error")
    keep_splits: bool = option(False, "put rows that --export wrote back to the files they came from")
    export: Path | None = option(None, "write --dataset_dir as this file for the tool, and read none", metavar="FILE")
    dataset_dir: Path | None = option(None, "dataset folder that --export reads")
    parts: tuple[str, ...] = option((), "what --export writes (all that --dataset_dir has)", choices=tuple(SPLIT_FILES))

    def check(self) -> None:
        super().check()
        if not self.separator:
            raise InputError(f"--separator is empty; give what stands between levels, such as {SEPARATOR!r}")

    def check_output(self, called: str, target: Path, folder: Path, *inputs: Path) -> None:
        """Raise InputError where `target` is an input or a file of the dataset, or is there and may not be replaced."""
        check_outputs({called: target}, inputs, folder)
        if target.exists() and not self.overwrite:
            raise InputError(f"{called} {target} exists already; name another file, or give --overwrite to replace it")

    def rows(self, folder: Path) -> Iterator[tuple[str, list[str] | None, str]]:
        """The rows of a dataset folder: text, deepest labels, as people choose them, and split, a key of SPLIT_FILES.

        The labels of data.txt are None: not yet known.

        Raises:
            InputError: a file is missing or malformed.
        """
        hierarchy = read_labels(folder / LABEL_FILE)
        for part in self.parts or [part for part, name in SPLIT_FILES.items() if (folder / name).exists()]:
            path = folder / SPLIT_FILES[part]
            if path.name == DATA_FILE:
                yield from ((text, None, part) for text in read_texts(path))
                continue
            for text, positions in read_examples(path, hierarchy):
                yield text, [hierarchy.labels[position] for position in hierarchy.deepest(positions)], part


def split_of(*holders: Any) -> str | None:
    """The split that the first of these objects names that names one: a row, or its metadata."""
    named = (holder.get(SPLIT_KEY) for holder in holders if isinstance(holder, dict))
    return next((split for split in named if isinstance(split, str) and split in SPLIT_FILES), None)


@dataclass
class Unknown:
    """Labels of rows that --label_file does not list, each with where it came first."""

    listed: LabelHierarchy
    label_file: Path | None
    first: dict[str, tuple[Path | str, int]] = field(default_factory=dict)

    def look(self, labels: Sequence[str], source: Path | str, line: int) -> bool:
        """Whether there is one among the labels."""
        unknown = [label for label in labels if label not in self.listed]
        for label in unknown:
            self.first.setdefault(label, (source, line))
        return bool(unknown)

    def refuse(self) -> None:
        """Raise DatasetError where there is any."""
        if not self.first:
            return
        (label, (source, line)), *others = self.first.items()
        near = difflib.get_close_matches(label, self.listed.paths, 1)
        hint = f"did you mean {near[0]!r}? Else add" if near else "correct it, or add"
        reason = f"label {label!r} is not in --label_file {self.label_file}; {hint} it there"
        if others:
            shown = ", ".join(f"{name!r:.60} ({place[1]})" for name, place in others[:SHOWN_UNKNOWN])
            shown += ", ..." * (len(others) > SHOWN_UNKNOWN)
            reason += f"; {len(others)} others are not there either: {shown}"
        raise DatasetError(source, line, reason)


def collect(
    options: AnnotationOptions,
    sources: Iterable[tuple[Path | str, Iterable[Record]]],
    hierarchical: bool = True,
    further: Sequence[str] = (),
) -> WrittenDataset:
    """Write records as the dataset folder `save_dir`; all rows of a text go to one file.

    Args:
        sources: what is read, with its name for messages.
        hierarchical: whether labels are paths, of which notes can be made.
        further: notes of who reads, complete once all records are read.

    Raises:
        InputError: a record cannot be used; what was at `save_dir` is untouched.
    """
    listed = read_labels(options.label_file) if options.label_file else None
    unknown = Unknown(listed, options.label_file) if listed else None
    collector, named_splits = RowCollector(""), 0
    for source, records in sources:
        collector.source = source
        for record in records:
            labels = record.labels
            if unknown and unknown.look(labels, source, record.line):
                continue
            named_splits += record.split is not None
            file = SPLIT_FILES[record.split] if options.keep_splits and record.split else None
            if listed and listed.is_graph:  # whatever path of a label a row names, it says the same
                labels = [listed.labels[position] for position in listed.deepest(sorted(listed.with_ancestors(labels)))]
            # A text of data.txt that has labels by now is shared out like a new one.
            collector.add(record.line, record.text, labels, None if file == DATA_FILE else file, record.reviewed)
    if unknown:
        unknown.refuse()
    notes = list(further)
    if named_splits and not options.keep_splits:
        notes.append(f"{named_splits} rows name the split that they came from; --keep_splits puts them back there")
    notes += collector.report.notes()
    hierarchy = listed or collector.hierarchy()
    if hierarchical:
        notes += label_names.notes(hierarchy.labels)
    return write_dataset(options.save_dir, hierarchy, options.split(collector.rows), collector.unlabelled(), notes)
