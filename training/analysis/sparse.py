"""Find the development texts that lack evidence in the training texts, and what would give them some.

python training/analysis/sparse.py --device cpu --dataset_dir data --params_path ./checkpoint --aug_strategy duplicate
python training/analysis/sparse.py --device cpu --dataset_dir data --params_path ./checkpoint --annotate

sparse.txt holds the development rows whose nearest training texts of the same label are least similar to them, in
turns for each label. valid.txt holds the training rows that are closest to these, to be added once more, augmented or
as they are; or, with --annotate, the closest texts without labels, to be annotated.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pipeline.command import run
from pipeline.errors import InputError
from pipeline.files.chunks import CHARACTERS_PER_CHUNK, chunks
from pipeline.files.dataset import (
    DATA_FILE,
    DEV_FILE,
    LABEL_FILE,
    TRAIN_FILE,
    Example,
    read_examples,
    read_labels,
    read_texts,
    write_examples,
    write_texts,
)
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.text.normalisation import normalise
from training.analysis.evaluate import check_outputs
from training.analysis.rewriting.options import CHANGES, SUBSTITUTE, AugmentationOptions
from training.checkpoint.classifier import check_labels
from training.checkpoint.files import read_checkpoint
from training.options import add_model_options

DUPLICATE = "duplicate"
STRATEGIES = (DUPLICATE, *CHANGES)
UNLABELLED_ROWS = 8192
"""Unlabelled texts whose features are held at once."""


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add_model_options(parser)
    add("--dataset_dir", required=True, help="folder with train.txt, dev.txt, label.txt and data.txt")
    add(
        "--aug_strategy",
        choices=STRATEGIES,
        default=SUBSTITUTE,
        help="what valid.txt makes of its rows (%(default)s)",
    )
    add("--annotate", action="store_true", help="choose texts of --unlabeled_file instead, to be annotated")
    add("--seed", type=int, default=3, help="of the augmentation (%(default)s)")
    add("--rationale_num", type=int, default=3, help="training texts that evidence is measured by (%(default)s)")
    add("--sparse_num", type=int, default=100, help="development texts to find (%(default)s)")
    add("--valid_num", type=int, default=100, help="rows of valid.txt, before augmentation (%(default)s)")
    add("--valid_threshold", type=float, default=0.7, help="least similarity of a row of valid.txt (%(default)s)")
    add("--train_file", default=TRAIN_FILE, help="training rows in --dataset_dir (%(default)s)")
    add("--dev_file", default=DEV_FILE, help="development rows in --dataset_dir (%(default)s)")
    add("--label_file", default=LABEL_FILE, help="label paths in --dataset_dir (%(default)s)")
    add("--unlabeled_file", default=DATA_FILE, help="texts in --dataset_dir that --annotate reads (%(default)s)")
    add("--sparse_file", default="sparse.txt", help="written to --dataset_dir (%(default)s)")
    add("--valid_file", default="valid.txt", help="written to --dataset_dir (%(default)s)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    for name in ("rationale_num", "sparse_num", "valid_num"):
        if getattr(args, name) < 1:
            raise InputError(f"--{name} is {getattr(args, name)}; give at least 1")
    folder = Path(args.dataset_dir)
    label_path, train_path, dev_path, unlabelled_path, sparse_path, valid_path = (
        folder / name
        for name in (
            *(args.label_file, args.train_file, args.dev_file, args.unlabeled_file),
            *(args.sparse_file, args.valid_file),
        )
    )
    inputs = (label_path, train_path, dev_path, unlabelled_path)
    check_outputs({"--sparse_file": str(sparse_path), "--valid_file": str(valid_path)}, inputs)
    hierarchy = read_labels(label_path)
    train, dev = (_rows(path, hierarchy) for path in (train_path, dev_path))
    unlabelled = _new_texts(unlabelled_path, [*train, *dev]) if args.annotate else []
    check_labels(label_path, read_checkpoint(args.params_path).hierarchy)

    # Importing scikit-learn and paddle takes seconds: the files are judged first.
    from training.analysis.evidence.features import load_features
    from training.analysis.evidence.linear_model import tfidf_vectoriser
    from training.analysis.evidence.neighbours import Described, evidence, in_turns, sparsest, supporters

    features = load_features(args.params_path, args.device, args.max_seq_length, args.batch_size)
    normalised = [normalise(example.text) for example in train]
    vectoriser = tfidf_vectoriser(normalised).fit(normalised)

    def describe(texts: list[str]) -> Described:
        return Described(features(texts), vectoriser.transform(map(normalise, texts)))

    described, dev_described = (describe([example.text for example in rows]) for rows in (train, dev))
    support = evidence(hierarchy, train, described.features, dev, dev_described.features, args.rationale_num)
    sparse = sparsest(hierarchy, support, dev, args.sparse_num)
    candidates = (
        map(describe, chunks(unlabelled, UNLABELLED_ROWS, CHARACTERS_PER_CHUNK)) if args.annotate else [described]
    )
    ranked = supporters(dev_described.rows(sparse), candidates, args.valid_num, args.valid_threshold)
    if not args.annotate:
        ranked = [
            [one for one in ones if not set(dev[row].labels).isdisjoint(train[one.row].labels)]
            for row, ones in zip(sparse, ranked)
        ]
    chosen = in_turns(ranked, args.valid_num)
    write_examples(sparse_path, (dev[row] for row in sparse), hierarchy)
    print(
        f"{sparse_path}: {len(sparse)} of {len(dev)} rows of {dev_path}, with evidence of "
        f"{support[sparse].mean():.3f} on average; of all rows it is {support.mean():.3f}"
    )
    if args.annotate:
        write_texts(valid_path, (unlabelled[row] for row in chosen))
        print(f"{valid_path}: {len(chosen)} texts of {unlabelled_path} worth annotating")
        return
    rows = [train[row] for row in chosen]
    if args.aug_strategy != DUPLICATE:
        rows = augmented(rows, train, dev, hierarchy, args)
    write_examples(valid_path, rows, hierarchy)
    print(f"{valid_path}: {len(rows)} rows ({args.aug_strategy}) from {len(chosen)} of {train_path}")


def augmented(
    rows: list[Example], train: list[Example], dev: list[Example], hierarchy: LabelHierarchy, args: argparse.Namespace
) -> list[Example]:
    """A changed copy of each row, where there can be one."""
    from training.analysis.rewriting.word_sources import create_augmenter

    unlabelled = Path(args.dataset_dir) / args.unlabeled_file
    options = AugmentationOptions(aug_strategy=args.aug_strategy, create_n=1, seed=args.seed)
    augmenter = create_augmenter(train, hierarchy, options, unlabelled if unlabelled.exists() else None)
    return list(augmenter.augment(rows, {normalise(example.text) for example in (*train, *dev)}))


def _rows(path: Path, hierarchy: LabelHierarchy) -> list[Example]:
    rows = list(read_examples(path, hierarchy))
    if not rows:
        raise InputError(f"{path} has no rows; it needs at least one labelled text")
    return rows


def _new_texts(path: Path, labelled: Sequence[Example]) -> list[str]:
    """The texts of `path`, each once, that have no labels yet."""
    known = {example.text for example in labelled}
    texts = [text for text in dict.fromkeys(read_texts(path)) if text not in known]
    if not texts:
        raise InputError(f"{path} has no text that is not labelled yet; collect some, or leave out --annotate")
    return texts


if __name__ == "__main__":
    run(main)
