"""Turn an export of doccano into a dataset folder, or a dataset folder into a file that doccano imports.

python training/doccano.py --doccano_file doccano.jsonl --save_dir data --splits 0.8 0.1 0.1
python training/doccano.py --export doccano.jsonl --dataset_dir data

A line of doccano's JSONL is an object with the text (`text`, or `data` as doccano 1.6 writes it) and a list of labels
(`label`, or `labels`). Rows without labels become data.txt. An exported row names the file that it came from as
`split`, which doccano keeps, so that `--keep_splits` puts corrected rows back where they were.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.atomic import atomic_writer
from pipeline.command import run
from pipeline.dataset import DATA_FILE, LABEL_FILE, read_examples, read_labels, read_lines, read_texts
from pipeline.errors import DatasetError, InputError
from pipeline.hierarchy import SEPARATOR, LabelHierarchy, path_fault
from training.data.dataset_folder import LABELLED_FILES, Splitting, check_dataset_target, write_dataset
from training.data.row_collector import RowCollector, surrogate_fault

TASK_TYPES = ("multi_class", "multi_label", "hierarchical")
TEXT_KEYS, LABEL_KEYS, META_KEYS = ("text", "data"), ("label", "labels"), ("meta", "metadata")
SPLIT_KEY = "split"
SPLIT_FILES = {name.partition(".")[0]: name for name in (*LABELLED_FILES, DATA_FILE)}


class Record(NamedTuple):
    """A line of a doccano file: its number, the text, the labels as paths, and the split that it names."""

    line: int
    text: str
    labels: list[str]
    split: str | None


def read_records(path: Path, task_type: str = "hierarchical", separator: str = SEPARATOR) -> Iterator[Record]:
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
        yield Record(line, text, labels, _split(record))


def _parse(content: str) -> dict[str, Any]:
    try:
        record = json.loads(content)
    except (ValueError, RecursionError) as error:
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
    raise InputError(f"there is no {' or '.join(map(repr, TEXT_KEYS))}; export a text classification project as JSONL")


def _labels(record: dict[str, Any]) -> list[str]:
    value: Any = next((record[key] for key in LABEL_KEYS if record.get(key) is not None), [])
    labels = [value] if isinstance(value, str) else value
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise InputError(
            f"the labels are {json.dumps(value, ensure_ascii=False):.60}; a list of label names is needed, as doccano "
            "exports it from a text classification project"
        )
    return labels


def _split(record: dict[str, Any]) -> str | None:
    """The split that a row names, by itself or in its metadata."""
    for holder in (record, *(record.get(key) for key in META_KEYS)):
        split = holder.get(SPLIT_KEY) if isinstance(holder, dict) else None
        if isinstance(split, str) and split in SPLIT_FILES:
            return split
    return None


def label_path(label: str, task_type: str = "hierarchical", separator: str = SEPARATOR) -> str:
    """The label path that a label of doccano stands for.

    Raises:
        InputError: it cannot be one; the message says what to change.
    """
    if SEPARATOR in label and (task_type != "hierarchical" or separator != SEPARATOR):
        way = f"give --separator {SEPARATOR!r}" if task_type == "hierarchical" else "give --task_type hierarchical"
        raise InputError(f"label {label!r} contains {SEPARATOR!r}, which separates levels; {way} or rename the label")
    segments = label.split(separator) if task_type == "hierarchical" else [label]
    path = SEPARATOR.join(segment.strip().lstrip("\ufeff").strip() for segment in segments)
    fault = path_fault(path) or surrogate_fault(path)
    if fault:
        raise InputError(f"{fault}; rename the label in doccano")
    return path


def convert(args: argparse.Namespace) -> None:
    """Write the dataset folder that the options ask for, and say what was written.

    Raises:
        InputError: an option or the file cannot be used; what was at `--save_dir` is untouched.
    """
    source, folder = Path(args.doccano_file), Path(args.save_dir)
    splitting = Splitting(args.splits, args.is_shuffle, args.seed)
    if not args.separator:
        raise InputError(f"--separator is empty; give what stands between levels, such as {SEPARATOR!r}")
    check_dataset_target(folder, args.overwrite)
    listed = read_labels(args.label_file) if args.label_file else None
    collector, named_splits = RowCollector(source), 0
    for record in read_records(source, args.task_type, args.separator):
        unknown = [label for label in record.labels if listed and label not in listed.index]
        if unknown:
            raise DatasetError(source, record.line, f"label {unknown[0]!r} is not in --label_file {args.label_file}")
        named_splits += record.split is not None
        file = SPLIT_FILES[record.split] if args.keep_splits and record.split else None
        # A text of data.txt that has labels by now is shared out like a new one.
        collector.add(record.line, record.text, record.labels, None if file == DATA_FILE else file)
    hierarchy = listed or collector.hierarchy()
    written = write_dataset(folder, hierarchy, splitting.split(collector.rows), collector.texts)
    if named_splits and not args.keep_splits:
        note = f"note: {named_splits} rows name the split that they came from; --keep_splits puts them back there"
        print(note, file=sys.stderr)
    for note in collector.report.notes(source):
        print(f"note: {note}", file=sys.stderr)
    print(written)


def export(dataset_dir: Path, target: Path, parts: Sequence[str] | None = None) -> int:
    """Write the rows of a dataset folder as a file that doccano imports; returns how many.

    Of a row's labels only the deepest are written, as people choose them; reading adds their ancestors again.

    Args:
        dataset_dir: holds label.txt.
        target: what is there is replaced, whole or not at all.
        parts: keys of SPLIT_FILES; by default those that the folder has.

    Raises:
        InputError: a file is missing or malformed.
    """
    hierarchy = read_labels(dataset_dir / LABEL_FILE)
    count = 0
    with atomic_writer(target) as stream:
        for part in parts or [part for part, name in SPLIT_FILES.items() if (dataset_dir / name).exists()]:
            for text, labels in _rows(dataset_dir / SPLIT_FILES[part], hierarchy):
                stream.write(record_line(text, labels, part))
                count += 1
    return count


def record_line(text: str, labels: Sequence[str], part: str, **more: Any) -> bytes:
    """A line that doccano imports; it shows what `more` holds as the row's metadata, and keeps it."""
    record = {TEXT_KEYS[0]: text, LABEL_KEYS[0]: list(labels), SPLIT_KEY: part, **more}
    return json.dumps(record, ensure_ascii=False).encode() + b"\n"


def _rows(path: Path, hierarchy: LabelHierarchy) -> Iterator[tuple[str, list[str]]]:
    if path.name == DATA_FILE:
        yield from ((text, []) for text in read_texts(path))
        return
    for text, positions in read_examples(path, hierarchy):
        yield text, [hierarchy.labels[position] for position in hierarchy.deepest(positions)]


def _boolean(word: str) -> bool:
    if word.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{word!r} is neither true nor false")
    return word.lower() == "true"


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add("--doccano_file", default="doccano.jsonl", help="the file that doccano exported, as JSONL")
    add("--save_dir", default="./data", help="the dataset folder to write")
    add("--splits", type=float, nargs="+", default=[0.8, 0.1, 0.1], help="shares of train, dev and, if wanted, test")
    add(
        "--task_type",
        choices=TASK_TYPES,
        default="hierarchical",
        help="hierarchical, what this project trains, adds the ancestors of each label; the others make flat labels",
    )
    add("--is_shuffle", type=_boolean, nargs="?", const=True, default=True, help="shuffle the rows: true or false")
    add("--seed", type=int, default=1000, help="seed of the shuffling")
    add("--separator", default=SEPARATOR, help="between the levels of a label in doccano; --separator=-> if so")
    add("--label_file", help="a label.txt whose labels and order are kept; any other label is an error")
    add("--keep_splits", action="store_true", help="put rows that --export wrote back to the files they came from")
    add("--export", metavar="FILE", help="write --dataset_dir as a file for doccano instead")
    add("--dataset_dir", help="the dataset folder that --export reads")
    add("--parts", nargs="+", choices=tuple(SPLIT_FILES), help="what --export writes; by default all there is")
    add("--overwrite", action="store_true", help="replace the dataset in --save_dir, or the --export file")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    if bool(args.export) != bool(args.dataset_dir):
        raise InputError("--export FILE and --dataset_dir FOLDER go together; to read from doccano give neither")
    if not args.export:
        convert(args)
        return
    target = Path(args.export)
    if target.exists() and not args.overwrite:
        raise InputError(f"--export {target} exists already; name another file, or give --overwrite to replace it")
    rows = export(Path(args.dataset_dir), target, args.parts)
    print(f"{target}: {rows} rows for doccano (import as JSONL, column data text, column label label)")


if __name__ == "__main__":
    run(main)
