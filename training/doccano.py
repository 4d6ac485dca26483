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

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.command import run
from pipeline.errors import InputError
from pipeline.files.atomic import atomic_writer
from pipeline.options import option, parse
from training.data.annotated import AnnotationOptions, collect
from training.data.dataset_folder import WrittenDataset
from training.data.doccano_lines import HIERARCHICAL, TASK_TYPES, read_records, record_line


@dataclass(frozen=True)
class DoccanoOptions(AnnotationOptions):
    """What is read from doccano, or written for it."""

    doccano_file: tuple[Path, ...] = option(
        ("doccano.jsonl",), "files that doccano exported as JSONL: one, or one of each annotator and unknown.jsonl"
    )
    task_type: str = option(
        HIERARCHICAL,
        "hierarchical, what this project trains, adds the ancestors of each label; the others make flat labels",
        choices=TASK_TYPES,
    )

    def check(self) -> None:
        super().check()
        if bool(self.export) != bool(self.dataset_dir):
            raise InputError("--export FILE and --dataset_dir FOLDER go together; to read from doccano give neither")


def convert(options: DoccanoOptions) -> WrittenDataset:
    """Write what `doccano_file` holds as the dataset folder `save_dir`; all rows of a text go to one file.

    Raises:
        InputError: an option or the file cannot be used; what was at `save_dir` is untouched.
    """
    options.check_target(*options.doccano_file)
    records = ((path, read_records(path, options.task_type, options.separator)) for path in options.doccano_file)
    return collect(options, records, options.task_type == HIERARCHICAL)


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
    options.check_output("--export", target, folder)
    count = 0
    with atomic_writer(target) as stream:
        for text, labels, part in options.rows(folder):
            stream.write(record_line(text, labels or (), part))
            count += 1
    return count


def parse_args(argv: Sequence[str] | None) -> DoccanoOptions:
    return parse(DoccanoOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    if options.export:
        count = export(options)
        print(f"{options.export}: {count} rows for doccano (import as JSONL, column data text, column label label)")
        return
    convert(options).tell()


if __name__ == "__main__":
    run(main)
