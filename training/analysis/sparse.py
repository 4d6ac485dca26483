"""Find the development texts that lack evidence in the training texts, and what would give them some.

python training/analysis/sparse.py --dataset_dir data --params_path ./checkpoint --aug_strategy duplicate
python training/analysis/sparse.py --dataset_dir data --params_path ./checkpoint --annotate

sparse.txt holds the development rows whose nearest training texts of the same label are least similar to them, in
turns for each label. valid.txt holds the training rows that are closest to these, to be added once more, augmented or
as they are; or, with --annotate, the closest texts without labels, to be annotated. In a program:

    from training.analysis.sparse import SparseOptions, find_sparse

    find_sparse(SparseOptions(dataset_dir="data", annotate=True)).written
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.command import announce, run
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
from pipeline.options import option, parse
from pipeline.output import counted
from pipeline.text.normalisation import comparable, normalise
from training.analysis.rewriting.options import CHANGES, SUBSTITUTE, AugmentationOptions
from training.checkpoint.classifier import check_labels
from training.checkpoint.files import read_checkpoint
from training.data.outputs import check_outputs
from training.data.row_collector import new_texts
from training.options import ModelOptions, SeedOptions

DUPLICATE = "duplicate"
STRATEGIES = (DUPLICATE, *CHANGES)
UNLABELLED_ROWS = 8192
"""Unlabelled texts whose features are held at once."""


@dataclass(frozen=True)
class SparseOptions(ModelOptions, SeedOptions):
    """Which rows are compared, what is made of them, and where it is written."""

    dataset_dir: Path = option(help="folder with train.txt, dev.txt, label.txt and data.txt")
    aug_strategy: str = option(SUBSTITUTE, "how the rows written to --valid_file are changed", choices=STRATEGIES)
    annotate: bool = option(False, "choose texts of --unlabeled_file to be annotated, and no training rows")
    rationale_num: int = option(3, "training texts that evidence is measured by", at_least=1)
    sparse_num: int = option(100, "development texts to find", at_least=1)
    valid_num: int = option(100, "rows of --valid_file, before augmentation", at_least=1)
    valid_threshold: float = option(0.7, "least similarity of a row of --valid_file to a text that lacks evidence")
    train_file: str = option(TRAIN_FILE, "training rows in --dataset_dir")
    dev_file: str = option(DEV_FILE, "development rows in --dataset_dir")
    label_file: str = option(LABEL_FILE, "label paths in --dataset_dir")
    unlabeled_file: str = option(DATA_FILE, "texts in --dataset_dir that --annotate reads")
    sparse_file: str = option("sparse.txt", "development rows that lack evidence, written to --dataset_dir")
    valid_file: str = option("valid.txt", "what would give them evidence, written to --dataset_dir")

    def path(self, name: str) -> Path:
        """Where the file of an option lies."""
        return self.dataset_dir / getattr(self, name)


@dataclass(frozen=True)
class Sparse:
    """What was found.

    Attributes:
        rows: development rows that lack evidence.
        evidence: of these rows, on average.
        total: development rows.
        total_evidence: of all of them, on average.
        chosen: training rows, or texts, that would give them evidence, before augmentation.
        written: what `valid_file` holds: rows, or texts to be annotated.
    """

    rows: list[Example]
    evidence: float
    total: int
    total_evidence: float
    chosen: int
    written: list[Example] | list[str]


def find_sparse(options: SparseOptions) -> Sparse:
    """Find the development rows that lack evidence and what would give them some, and write both files.

    Raises:
        InputError: a file cannot be used or must not be written, or the model does not load.
        EnvironmentFault: the machine lacks the device.
    """
    inputs = [options.path(name) for name in ("label_file", "train_file", "dev_file", "unlabeled_file")]
    check_outputs(
        {f"--{name}": options.path(name) for name in ("sparse_file", "valid_file")}, inputs, options.dataset_dir
    )
    hierarchy = read_labels(options.path("label_file"))
    train, dev = (_rows(options.path(name), hierarchy) for name in ("train_file", "dev_file"))
    unlabelled = _new_texts(options.path("unlabeled_file"), [*train, *dev]) if options.annotate else []
    check_labels(options.path("label_file"), read_checkpoint(options.params_path).hierarchy)

    # Importing scikit-learn and paddle takes seconds: the files are judged first.
    from training.analysis.evidence.features import load_features
    from training.analysis.evidence.linear_model import tfidf_vectoriser
    from training.analysis.evidence.neighbours import Described, evidence, in_turns, sparsest, supporters

    features = load_features(options.params_path, options.device, options.max_seq_length, options.batch_size)
    announce(f"computing features of {counted(len(train) + len(dev) + len(unlabelled), 'text')}")
    normalised = [normalise(example.text) for example in train]
    vectoriser = tfidf_vectoriser(normalised).fit(normalised)

    def describe(texts: list[str]) -> Described:
        return Described(features(texts), vectoriser.transform(map(normalise, texts)))

    described, dev_described = (describe([example.text for example in rows]) for rows in (train, dev))
    support = evidence(hierarchy, train, described.features, dev, dev_described.features, options.rationale_num)
    sparse = sparsest(hierarchy, support, dev, options.sparse_num)
    pieces = chunks(unlabelled, UNLABELLED_ROWS, CHARACTERS_PER_CHUNK)
    candidates = map(describe, pieces) if options.annotate else [described]
    ranked = supporters(dev_described.rows(sparse), candidates, options.valid_num, options.valid_threshold)
    if not options.annotate:
        ranked = [
            [one for one in ones if not set(dev[row].labels).isdisjoint(train[one.row].labels)]
            for row, ones in zip(sparse, ranked)
        ]
    chosen = in_turns(ranked, options.valid_num)
    rows = [dev[row] for row in sparse]
    write_examples(options.path("sparse_file"), rows, hierarchy)
    written: list[Example] | list[str]
    if options.annotate:
        written = [unlabelled[row] for row in chosen]
        write_texts(options.path("valid_file"), written)
    else:
        announce(f"changing {counted(len(chosen), 'row')}")
        written = augmented([train[row] for row in chosen], train, dev, hierarchy, options)
        write_examples(options.path("valid_file"), written, hierarchy)
    return Sparse(rows, float(support[sparse].mean()), len(dev), float(support.mean()), len(chosen), written)


def augmented(
    rows: list[Example], train: list[Example], dev: list[Example], hierarchy: LabelHierarchy, options: SparseOptions
) -> list[Example]:
    """The rows, or where `aug_strategy` says so a changed copy of each, where there can be one."""
    if options.aug_strategy == DUPLICATE:
        return rows
    from training.analysis.rewriting.word_sources import create_augmenter

    unlabelled = options.path("unlabeled_file")
    changes = AugmentationOptions(aug_strategy=options.aug_strategy, create_n=1, seed=options.seed)
    augmenter = create_augmenter(train, hierarchy, changes, unlabelled if unlabelled.exists() else None)
    return list(augmenter.augment(rows, {comparable(example.text) for example in (*train, *dev)}))


def _rows(path: Path, hierarchy: LabelHierarchy) -> list[Example]:
    rows = list(read_examples(path, hierarchy))
    if not rows:
        raise InputError(f"{path} has no rows; it needs at least one labelled text")
    return rows


def _new_texts(path: Path, labelled: Sequence[Example]) -> list[str]:
    """The texts of `path`, each once, that have no labels yet."""
    texts = new_texts(read_texts(path), (example.text for example in labelled), comparable)
    if not texts:
        raise InputError(f"{path} has no text that is not labelled yet; collect some, or leave out --annotate")
    return texts


def parse_args(argv: Sequence[str] | None) -> SparseOptions:
    return parse(SparseOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    found = find_sparse(options)
    print(
        f"{options.path('sparse_file')}: {len(found.rows)} of {found.total} rows of {options.path('dev_file')}, with "
        f"evidence of {found.evidence:.3f} on average; of all rows it is {found.total_evidence:.3f}"
    )
    target = options.path("valid_file")
    if options.annotate:
        print(f"{target}: {found.chosen} texts of {options.path('unlabeled_file')} worth annotating")
        return
    made = f"{len(found.written)} rows ({options.aug_strategy})"
    print(f"{target}: {made} from {found.chosen} of {options.path('train_file')}")


if __name__ == "__main__":
    run(main)
