"""Find the training rows whose labels are probably wrong, and set them aside to be checked.

python training/analysis/dirty.py --dataset_dir data --dirty_num 200
python training/analysis/dirty.py --device cpu --dataset_dir data --params_path ./checkpoint --method representer

Three files are written beside the training file: the doubtful rows and the rest, both as training reads them, and the
doubtful rows once more for doccano, with the labels that the method suggests.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.command import run
from pipeline.errors import InputError
from pipeline.files.atomic import atomic_writer
from pipeline.files.dataset import LABEL_FILE, TRAIN_FILE, Example, read_examples, read_labels, write_examples
from pipeline.labels.hierarchy import LabelHierarchy
from training.analysis.evaluate import check_outputs
from training.analysis.evidence.label_doubts import label_doubts
from training.data.doccano_lines import record_line
from training.options import add_model_options

if TYPE_CHECKING:
    from training.analysis.evidence.suspicion import Suspicion

CONFIDENT_LEARNING, REPRESENTER = "confident", "representer"
METHODS = (CONFIDENT_LEARNING, REPRESENTER)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add_model_options(parser)
    add("--dataset_dir", required=True, help="folder with train.txt and label.txt")
    add("--train_file", default=TRAIN_FILE, help="rows in --dataset_dir to look at (%(default)s)")
    add("--label_file", default=LABEL_FILE, help="label paths in --dataset_dir (%(default)s)")
    add(
        "--method",
        choices=METHODS,
        default=CONFIDENT_LEARNING,
        help="cleanlab's confident learning on leave-one-out predictions of a linear model, which needs no trained "
        "model; or the representer points of the classifier layer at --params_path (%(default)s)",
    )
    add("--dirty_num", type=int, default=100, help="doubtful rows to set aside, at most (%(default)s)")
    add("--dirty_threshold", type=float, default=0.0, help="only rows with a score above it (%(default)s)")
    add("--dirty_file", default="train_dirty.txt", help="doubtful rows, written to --dataset_dir (%(default)s)")
    add("--rest_file", default="train_dirty_rest.txt", help="all other rows, likewise (%(default)s)")
    add("--review_file", default="train_dirty.jsonl", help="doubtful rows for doccano, likewise (%(default)s)")
    add("--seed", type=int, default=3, help="random seed (%(default)s)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    if args.dirty_num < 1:
        raise InputError(f"--dirty_num is {args.dirty_num}; give at least 1")
    folder = Path(args.dataset_dir)
    label_path, train_path = folder / args.label_file, folder / args.train_file
    dirty_path, rest_path, review_path = (folder / name for name in (args.dirty_file, args.rest_file, args.review_file))
    outputs = {"--dirty_file": dirty_path, "--rest_file": rest_path, "--review_file": review_path}
    check_outputs({option: str(path) for option, path in outputs.items()}, (label_path, train_path))
    hierarchy = read_labels(label_path)
    examples = list(read_examples(train_path, hierarchy))
    if len(examples) < 2:
        raise InputError(f"{train_path} has {len(examples)} rows; what is unusual shows among many")
    suspicion = judge(args, examples, hierarchy)
    order = np.argsort(-suspicion.scores, kind="stable")[: args.dirty_num]
    dirty = order[suspicion.scores[order] > args.dirty_threshold]
    chosen = set(dirty.tolist())
    kinds: Counter[str] = Counter()
    with atomic_writer(review_path) as stream:
        given = hierarchy.matrix([examples[row].labels for row in dirty])
        for row, given_row in zip(dirty.tolist(), given):
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
    write_examples(dirty_path, (examples[row] for row in dirty), hierarchy)
    write_examples(rest_path, (example for row, example in enumerate(examples) if row not in chosen), hierarchy)
    if suspicion.issues is not None:
        print(f"{train_path}: cleanlab calls the labels of {suspicion.issues} of {len(examples)} rows doubtful")
    print(f"{dirty_path}: {len(dirty)} rows, the most doubtful first; {rest_path}: {len(examples) - len(dirty)} rows")
    found = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()) or "nothing"
    print(f"{review_path}: the same rows for doccano with suggested labels, which would change {found}")


def judge(args: argparse.Namespace, examples: list[Example], hierarchy: LabelHierarchy) -> Suspicion:
    """How doubtful the chosen method finds each row; raises as `evidence.features.load_features` does."""
    # Importing cleanlab or paddle takes seconds: files are judged first.
    if args.method == CONFIDENT_LEARNING:
        from training.analysis.evidence.suspicion import confident_learning

        return confident_learning(examples, hierarchy, args.seed)
    from training.analysis.evidence.features import load_features
    from training.analysis.evidence.representer import representer_points

    features = load_features(args.params_path, args.device, args.max_seq_length, args.batch_size)
    return representer_points(features([example.text for example in examples]), examples, hierarchy)


def _deepest(hierarchy: LabelHierarchy, positions: Sequence[int]) -> list[str]:
    return [hierarchy.labels[position] for position in hierarchy.deepest(positions)]


if __name__ == "__main__":
    run(main)
