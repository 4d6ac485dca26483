"""Turn an export of doccano into a dataset folder, or a dataset folder into a file that doccano imports.

python training/doccano.py --doccano_file doccano.jsonl --save_dir data --splits 0.8 0.1 0.1
python training/doccano.py --export doccano.jsonl --dataset_dir data

A line of doccano's JSONL is an object with the text (`text`, or `data` as doccano 1.6 writes it) and a list of labels
(`label`, or `labels`). Rows without labels become data.txt. An exported row names the file that it came from as
`split`, which doccano keeps, so that `--keep_splits` puts corrected rows back where they were.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.command import run
from pipeline.errors import DatasetError, InputError
from pipeline.files.atomic import atomic_writer
from pipeline.files.dataset import DATA_FILE, LABEL_FILE, read_examples, read_labels, read_texts
from pipeline.labels.hierarchy import SEPARATOR, LabelHierarchy
from training.data.dataset_folder import Splitting, check_dataset_target, write_dataset
from training.data.doccano_lines import SPLIT_FILES, TASK_TYPES, read_records, record_line
from training.data.row_collector import RowCollector


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
