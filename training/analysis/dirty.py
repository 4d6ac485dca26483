"""Find the training rows whose labels are probably wrong, and set them aside to be checked.

python training/analysis/dirty.py --dataset_dir data --dirty_num 200
python training/analysis/dirty.py --dataset_dir data --params_path ./checkpoint --method representer

Three files are written beside the training file: the doubtful rows and the rest, both as training reads them, and the
doubtful rows once more for doccano, with the labels that the method suggests. In a program:

    from training.analysis.dirty import DirtyOptions, find_doubtful

    find_doubtful(DirtyOptions(dataset_dir="data", dirty_num=200)).rows
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.command import announce, run
from pipeline.errors import InputError
from pipeline.files.atomic import atomic_writer
from pipeline.files.dataset import LABEL_FILE, TRAIN_FILE, Example, read_examples, read_labels, write_examples
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.options import option, parse
from pipeline.output import counted
from training.analysis.evidence.label_doubts import label_doubts
from training.data.doccano_lines import record_line
from training.data.outputs import check_outputs
from training.options import ModelOptions, SeedOptions

if TYPE_CHECKING:
    from training.analysis.evidence.suspicion import Suspicion

CONFIDENT_LEARNING, REPRESENTER = "confident", "representer"
METHODS = (CONFIDENT_LEARNING, REPRESENTER)


@dataclass(frozen=True)
class DirtyOptions(ModelOptions, SeedOptions):
    """Which rows are judged, how, and where they are written."""

    dataset_dir: Path = option(help="folder with train.txt and label.txt")
    train_file: str = option(TRAIN_FILE, "rows in --dataset_dir that are judged")
    label_file: str = option(LABEL_FILE, "label paths in --dataset_dir")
    method: str = option(
        CONFIDENT_LEARNING,
        "confident: cleanlab's confident learning on leave-one-out predictions of a linear model, which needs no "
        "trained model; representer: representer points of the classifier layer at --params_path",
        choices=METHODS,
    )
    dirty_num: int = option(100, "doubtful rows to set aside, at most", at_least=1)
    dirty_threshold: float = option(0.0, "score above which a row is doubtful")
    dirty_file: str = option("train_dirty.txt", "doubtful rows, written to --dataset_dir")
    rest_file: str = option("train_dirty_rest.txt", "all other rows, written to --dataset_dir")
    review_file: str = option("train_dirty.jsonl", "doubtful rows for doccano, written to --dataset_dir")


@dataclass(frozen=True)
class DoubtfulRows:
    """What was found.

    Attributes:
        rows: their numbers in the training file, from 0, the most doubtful first.
        scores: how doubtful each of them is.
        total: rows of the training file.
        doubts: by kind, how many labels the suggestions would change.
        issues: rows that cleanlab calls doubtful; None where it was not asked.
    """

    rows: list[int]
    scores: list[float]
    total: int
    doubts: Mapping[str, int]
    issues: int | None


def find_doubtful(options: DirtyOptions) -> DoubtfulRows:
    """Judge the rows of a training file and write the doubtful ones, the rest, and the file for doccano.

    Raises:
        InputError: a file cannot be used or must not be written, or the model does not load.
        EnvironmentFault: the machine lacks the device.
    """
    folder = options.dataset_dir
    label_path, train_path = folder / options.label_file, folder / options.train_file
    names = ("dirty_file", "rest_file", "review_file")
    outputs = {f"--{name}": folder / getattr(options, name) for name in names}
    check_outputs(outputs, (label_path, train_path), folder)
    hierarchy = read_labels(label_path)
    examples = list(read_examples(train_path, hierarchy))
    if len(examples) < 2:
        raise InputError(f"{train_path} has {len(examples)} rows; what is unusual shows among many")
    if len({example.labels for example in examples}) == 1:
        raise InputError(f"all rows of {train_path} have the same labels; a wrong one shows among others")
    announce(f"judging {counted(len(examples), 'row')}")
    suspicion = _judge(options, examples, hierarchy)
    order = np.argsort(-suspicion.scores, kind="stable")[: options.dirty_num]
    rows = order[suspicion.scores[order] > options.dirty_threshold].tolist()
    doubts = write_review(outputs["--review_file"], rows, examples, hierarchy, suspicion)
    chosen = set(rows)
    write_examples(outputs["--dirty_file"], (examples[row] for row in rows), hierarchy)
    rest = (example for row, example in enumerate(examples) if row not in chosen)
    write_examples(outputs["--rest_file"], rest, hierarchy)
    return DoubtfulRows(rows, suspicion.scores[rows].tolist(), len(examples), doubts, suspicion.issues)


def write_review(
    path: Path, rows: Sequence[int], examples: Sequence[Example], hierarchy: LabelHierarchy, suspicion: Suspicion
) -> Counter[str]:
    """Write rows for doccano, each with the labels that are suggested; returns the doubts by kind."""
    kinds: Counter[str] = Counter()
    given = hierarchy.matrix([examples[row].labels for row in rows])
    with atomic_writer(path) as stream:
        for row, given_row in zip(rows, given):
            suggested = suspicion.suggested[row]
            doubts = label_doubts(hierarchy, given_row, suggested)
            kinds.update(doubt.kind for doubt in doubts)
            stream.write(
                record_line(
                    examples[row].text,
                    _deepest(hierarchy, np.flatnonzero(suggested).tolist()),
                    "train",
                    given=_deepest(hierarchy, examples[row].labels),
                    doubts=list(map(str, doubts)),
                    score=round(float(suspicion.scores[row]), 4),
                    line=row + 1,
                )
            )
    return kinds


def _judge(options: DirtyOptions, examples: list[Example], hierarchy: LabelHierarchy) -> Suspicion:
    """How doubtful the chosen method finds each row; raises as `evidence.features.load_features` does."""
    # Importing cleanlab or paddle takes seconds: files are judged first.
    if options.method == CONFIDENT_LEARNING:
        from training.analysis.evidence.suspicion import confident_learning

        return confident_learning(examples, hierarchy, options.seed)
    from training.analysis.evidence.features import load_features

    features = load_features(options.params_path, options.device, options.max_seq_length, options.batch_size)
    from training.analysis.evidence.representer import representer_points

    return representer_points(features([example.text for example in examples]), examples, hierarchy)


def _deepest(hierarchy: LabelHierarchy, positions: Sequence[int]) -> list[str]:
    return [hierarchy.labels[position] for position in hierarchy.deepest(positions)]


def parse_args(argv: Sequence[str] | None) -> DirtyOptions:
    return parse(DirtyOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    found, folder = find_doubtful(options), options.dataset_dir
    if found.issues is not None:
        train_path = folder / options.train_file
        print(f"{train_path}: cleanlab calls the labels of {found.issues} of {found.total} rows doubtful")
    rest = f"{folder / options.rest_file}: {found.total - len(found.rows)} rows"
    print(f"{folder / options.dirty_file}: {len(found.rows)} rows, the most doubtful first; {rest}")
    doubts = ", ".join(f"{kind} {count}" for kind, count in Counter(found.doubts).most_common()) or "none"
    review_path = folder / options.review_file
    print(f"{review_path}: the same rows for doccano, with suggested labels; doubts (a row may have several): {doubts}")


if __name__ == "__main__":
    run(main)
