"""Make more training rows out of the given ones, by changing words that do not tell the label.

python training/analysis/aug.py --train_path data/train.txt --aug_path data/aug.txt --create_n 2
python training/analysis/aug.py --train_path data/train.txt --aug_path data/aug.txt --aug_type mlm --mlm_path bert

The new rows have the labels of those they are made from; texts that exist already are left out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.command import run
from pipeline.errors import InputError
from pipeline.files.dataset import DATA_FILE, LABEL_FILE, Example, read_examples, read_labels, write_examples
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.text.normalisation import normalise
from training.analysis.evaluate import check_outputs
from training.data.dataset_folder import LABELLED_FILES
from training.loop.options import DEVICES

STRATEGIES = ("mix", "substitute", "insert", "delete", "swap")
TYPES = ("synonym", "homonym", "mlm")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--train_path", default="./data/train.txt", help="rows to make new ones from (%(default)s)")
    add("--aug_path", default="./data/aug.txt", help="where the new rows are written (%(default)s)")
    add("--aug_strategy", choices=STRATEGIES, default="substitute", help="what is done to words (%(default)s)")
    add("--aug_type", choices=TYPES, default="synonym", help="what comes in for a word (%(default)s)")
    add("--create_n", type=int, default=2, help="new rows of each given one, at most (%(default)s)")
    add("--aug_percent", type=float, default=0.1, help="share of the words to change (%(default)s)")
    add("--device", choices=DEVICES, default="gpu", help="what --aug_type mlm computes on (%(default)s)")
    add("--word_file", help="JSON object from words to lists of substitutes; by default they are found in the texts")
    add("--mlm_path", help="folder of the masked language model of --aug_type mlm, as paddlenlp saves it")
    add("--label_file", default=LABEL_FILE, help="label paths, beside --train_path (%(default)s)")
    add("--unlabelled_file", default=DATA_FILE, help="texts beside --train_path to learn words from (%(default)s)")
    add("--seed", type=int, default=3, help="random seed (%(default)s)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    # Importing scikit-learn takes a second: the command line is judged first.
    from training.analysis.rewriting.augmentation import AugmentationOptions
    from training.analysis.rewriting.word_sources import create_augmenter

    options = AugmentationOptions(args.aug_strategy, args.create_n, args.aug_percent, args.seed)
    train_path, target = Path(args.train_path), Path(args.aug_path)
    folder = train_path.parent
    label_path, unlabelled = folder / args.label_file, folder / args.unlabelled_file
    labelled = [folder / name for name in LABELLED_FILES]
    check_outputs({"--aug_path": str(target)}, (label_path, train_path, unlabelled, *labelled))
    hierarchy = read_labels(label_path)
    rows = list(read_examples(train_path, hierarchy))
    if not rows:
        raise InputError(f"{train_path} has no rows; there is nothing to augment")
    asked = args.unlabelled_file != DATA_FILE  # data.txt may be absent, a file that was asked for may not
    texts = unlabelled if asked or unlabelled.exists() else None
    augmenter = create_augmenter(
        rows, hierarchy, options, texts, args.aug_type, args.word_file, args.mlm_path, args.device
    )
    made = list(augmenter.augment(rows, known_texts(rows, labelled, hierarchy)))
    write_examples(target, made, hierarchy)
    print(f"{target}: {len(made)} new rows ({args.aug_strategy}) from {len(rows)} of {train_path}")
    if not made:
        print("warning: no text could be changed; raise --aug_percent, or try another strategy", file=sys.stderr)


def known_texts(rows: Sequence[Example], labelled: Sequence[Path], hierarchy: LabelHierarchy) -> set[str]:
    """The normalised texts of the given rows and of those of the files that exist."""
    texts = {normalise(example.text) for example in rows}
    for path in labelled:
        if path.exists():
            texts.update(normalise(example.text) for example in read_examples(path, hierarchy))
    return texts


if __name__ == "__main__":
    run(main)
