"""Turn an export of doccano into a dataset folder, or a dataset folder into a file that doccano imports.

python training/doccano.py --doccano_file doccano.jsonl --save_dir data --splits 0.8 0.1 0.1
python training/doccano.py --doccano_file export/anna.jsonl export/bo.jsonl export/unknown.jsonl --save_dir data
python training/doccano.py --export doccano.jsonl --dataset_dir data

A line of doccano's JSONL is an object with the text (`text`, or `data` as doccano 1.6 writes it) and a list of labels
(`label`, or `labels`). Rows without labels become data.txt. An exported row names the file that it came from as
`split`, which doccano keeps, so that `--keep_splits` puts corrected rows back where they were. In a program:

    from training.doccano import DoccanoOptions, convert
    convert(DoccanoOptions(doccano_file="doccano.jsonl", save_dir="data")).rows      {'train.txt': 4000, ...}
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.command import run
from pipeline.errors import DatasetError, InputError
from pipeline.files.atomic import atomic_writer
from pipeline.files.dataset import DATA_FILE, LABEL_FILE, read_examples, read_labels, read_texts
from pipeline.labels.hierarchy import SEPARATOR, LabelHierarchy
from pipeline.options import option, parse
from training.data import label_names
from training.data.dataset_folder import NewDatasetOptions, WrittenDataset, write_dataset
from training.data.doccano_lines import HIERARCHICAL, SPLIT_FILES, TASK_TYPES, read_records, record_line
from training.data.outputs import check_outputs
from training.data.row_collector import RowCollector


@dataclass(frozen=True)
class DoccanoOptions(NewDatasetOptions):
    """What is read from doccano, or written for it."""

    doccano_file: tuple[Path, ...] = option(
        ("doccano.jsonl",), "files that doccano exported as JSONL: one, or one of each annotator and unknown.jsonl"
    )
    task_type: str = option(
        HIERARCHICAL,
        "hierarchical, what this project trains, adds the ancestors of each label; the others make flat labels",
        choices=TASK_TYPES,
    )
    separator: str = option(SEPARATOR, "what stands between the levels of a label in doccano, as in --separator=->")
    label_file: Path | None = option(None, "a label.txt whose labels and order are kept; any other label is an error")
    keep_splits: bool = option(False, "put rows that --export wrote back to the files they came from")
    export: Path | None = option(None, "write --dataset_dir as this file for doccano, and read none", metavar="FILE")
    dataset_dir: Path | None = option(None, "dataset folder that --export reads")
    parts: tuple[str, ...] = option((), "what --export writes (all that --dataset_dir has)", choices=tuple(SPLIT_FILES))

    def check(self) -> None:
        super().check()
        if not self.separator:
            raise InputError(f"--separator is empty; give what stands between levels, such as {SEPARATOR!r}")
        if bool(self.export) != bool(self.dataset_dir):
            raise InputError("--export FILE and --dataset_dir FOLDER go together; to read from doccano give neither")


def convert(options: DoccanoOptions) -> WrittenDataset:
    """Write what `doccano_file` holds as the dataset folder `save_dir`; all rows of a text go to one file.

    Raises:
        InputError: an option or the file cannot be used; what was at `save_dir` is untouched.
    """
    options.check_target(*options.doccano_file)
    listed = read_labels(options.label_file) if options.label_file else None
    collector, named_splits = RowCollector(options.doccano_file[0]), 0
    for source in options.doccano_file:
        collector.source = source
        for record in read_records(source, options.task_type, options.separator):
            unknown = [label for label in record.labels if listed and label not in listed.index]
            if unknown:
                near = difflib.get_close_matches(unknown[0], listed.labels if listed else (), 1)
                hint = f"did you mean {near[0]!r}? Else add" if near else "correct it, or add"
                reason = f"label {unknown[0]!r} is not in --label_file {options.label_file}; {hint} it there"
                raise DatasetError(source, record.line, reason)
            named_splits += record.split is not None
            file = SPLIT_FILES[record.split] if options.keep_splits and record.split else None
            # A text of data.txt that has labels by now is shared out like a new one.
            collector.add(record.line, record.text, record.labels, None if file == DATA_FILE else file)
    notes = []
    if named_splits and not options.keep_splits:
        notes.append(f"{named_splits} rows name the split that they came from; --keep_splits puts them back there")
    notes += collector.report.notes()
    hierarchy = listed or collector.hierarchy()
    if options.task_type == HIERARCHICAL:
        notes += label_names.notes(hierarchy.labels)
    return write_dataset(options.save_dir, hierarchy, options.split(collector.rows), collector.unlabelled(), notes)


def export(options: DoccanoOptions) -> int:
    """Write the rows of `dataset_dir` to the file `export`, which doccano imports; returns how many.

    Of a row's labels only the deepest are written, as people choose them; reading adds their ancestors again.

    Raises:
        InputError: a file is missing or malformed, or the file is there and `overwrite` is not set; or
            it is a file of the dataset. What was there is untouched.
    """
    folder, target = options.dataset_dir, options.export
    if folder is None or target is None:
        raise InputError("--export FILE and --dataset_dir FOLDER are needed to write a file for doccano")
    check_outputs({"--export": target}, (), folder)
    if target.exists() and not options.overwrite:
        raise InputError(f"--export {target} exists already; name another file, or give --overwrite to replace it")
    hierarchy = read_labels(folder / LABEL_FILE)
    parts = options.parts or [part for part, name in SPLIT_FILES.items() if (folder / name).exists()]
    count = 0
    with atomic_writer(target) as stream:
        for part in parts:
            for text, labels in _rows(folder / SPLIT_FILES[part], hierarchy):
                stream.write(record_line(text, labels, part))
                count += 1
    return count


def _rows(path: Path, hierarchy: LabelHierarchy) -> Iterator[tuple[str, list[str]]]:
    if path.name == DATA_FILE:
        yield from ((text, []) for text in read_texts(path))
        return
    for text, positions in read_examples(path, hierarchy):
        yield text, [hierarchy.labels[position] for position in hierarchy.deepest(positions)]


def parse_args(argv: Sequence[str] | None) -> DoccanoOptions:
    return parse(DoccanoOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    if options.export:
        count = export(options)
        print(f"{options.export}: {count} rows for doccano (import as JSONL, column data text, column label label)")
        return
    written = convert(options)
    for note in written.notes:
        print(f"note: {note}", file=sys.stderr)
    print(written)


if __name__ == "__main__":
    run(main)
