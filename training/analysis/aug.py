"""Make more training rows out of the given ones, by changing words that do not tell the label.

python training/analysis/aug.py --train_path data/train.txt --aug_path data/aug.txt --create_n 2
python training/analysis/aug.py --train_path data/train.txt --aug_path data/aug.txt --aug_type mlm --mlm_path bert

The new rows have the labels of those they are made from; texts that exist already are left out. In a program:

    from training.analysis.aug import AugOptions, augment
    augment(AugOptions(train_path="data/train.txt", aug_path="data/aug.txt")).rows
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pipeline.command import announce, run
from pipeline.errors import InputError
from pipeline.files.dataset import DATA_FILE, LABEL_FILE, Example, read_examples, read_labels, write_examples
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.options import option, parse
from pipeline.output import counted
from pipeline.text.normalisation import comparable
from training.analysis.rewriting.options import AugmentationOptions
from training.data.dataset_folder import LABELLED_FILES
from training.data.outputs import check_outputs


@dataclass(frozen=True)
class AugOptions(AugmentationOptions):
    """What new rows are made from, and where they are written."""

    train_path: Path = option("./data/train.txt", "rows to make new ones from")
    aug_path: Path = option("./data/aug.txt", "where the new rows are written")
    label_file: str = option(LABEL_FILE, "label paths, a file beside --train_path")
    unlabelled_file: str = option(DATA_FILE, "texts to learn words from, a file beside --train_path")


class Augmented(NamedTuple):
    """The new rows, and from how many they were made."""

    rows: list[Example]
    given: int


def augment(options: AugOptions) -> Augmented:
    """Make new rows and write them to `aug_path`.

    Raises:
        InputError: a file cannot be read or written, or the substitutes cannot be had.
        EnvironmentFault: the machine lacks the device.
    """
    options.check_model()
    folder = options.train_path.parent
    label_path, unlabelled = folder / options.label_file, folder / options.unlabelled_file
    labelled = [folder / name for name in LABELLED_FILES]
    check_outputs({"--aug_path": options.aug_path}, (label_path, options.train_path, unlabelled), folder)
    hierarchy = read_labels(label_path)
    rows = list(read_examples(options.train_path, hierarchy))
    if not rows:
        raise InputError(f"{options.train_path} has no rows; there is nothing to augment")
    asked = bool(options.given("unlabelled_file"))  # data.txt may be absent, a file that was asked for may not
    texts = unlabelled if asked or unlabelled.exists() else None
    # Importing scikit-learn takes a second: the files are judged first.
    from training.analysis.rewriting.word_sources import create_augmenter

    announce(f"learning words from {counted(len(rows), 'row')}")
    augmenter = create_augmenter(rows, hierarchy, options, texts)
    announce(f"making new rows from {counted(len(rows), 'row')}")
    made = list(augmenter.augment(rows, known_texts(rows, labelled, hierarchy)))
    write_examples(options.aug_path, made, hierarchy)
    return Augmented(made, len(rows))


def known_texts(rows: Sequence[Example], labelled: Sequence[Path], hierarchy: LabelHierarchy) -> set[str]:
    """The texts, made comparable, of the given rows and of those of the files that exist."""
    texts = {comparable(example.text) for example in rows}
    for path in labelled:
        if path.exists():
            texts.update(comparable(example.text) for example in read_examples(path, hierarchy))
    return texts


def parse_args(argv: Sequence[str] | None) -> AugOptions:
    return parse(AugOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    made, given = augment(options)
    print(f"{options.aug_path}: {len(made)} new rows ({options.aug_strategy}) from {given} of {options.train_path}")
    if not made:
        print("warning: no text could be changed; raise --aug_percent, or try another strategy", file=sys.stderr)


if __name__ == "__main__":
    run(main)
