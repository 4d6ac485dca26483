"""Labels added by some examples, without training, against the same labels trained with all their rows.

    python -m benchmarks.quality.added_labels --dataset_dir data --output_file added.json

Some labels and all their rows are left out of the dataset; a model is trained on the rest, and the labels are added to
it by a few of those rows. Another model is trained on everything. Printed is the F1 of each such label by both.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.options import RecordOptions
from benchmarks.records import environment
from pipeline.command import run
from pipeline.errors import InputError
from pipeline.files.dataset import (
    DEV_FILE,
    LABEL_FILE,
    TRAIN_FILE,
    Example,
    read_examples,
    read_labels,
    write_examples,
    write_labels,
)
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.options import option, parse
from training.checkpoint.classifier import Classifier, load_classifier
from training.labels import LabelOptions, change_labels
from training.loop.options import TrainingRun
from training.train import train

LEAST_ROWS, DRAWS = 40, 3
BATCH = 32


@dataclass(frozen=True)
class AddedLabelOptions(RecordOptions):
    """What is left out, and how the rest is trained."""

    dataset_dir: Path = option(help="folder with train.txt, dev.txt and label.txt")
    labels: int = option(5, "labels that are left out, evenly from those without children", at_least=1)
    examples: int = option(20, "rows of each that are shown", at_least=1)
    fewer: tuple[int, ...] = option(
        (), "smaller numbers of rows, each drawn three times, of which the F1 is told", at_least=1
    )
    file: str = option(DEV_FILE, "file of the dataset folder that is measured on")
    model_name: str = option("linear", "what is trained, as train.py takes it")
    epochs: int = option(4, "passes over the training rows, of a model with an encoder", at_least=1)
    seed: int = option(0, "which rows are shown", at_least=0)


def measure(options: AddedLabelOptions) -> dict[str, Any]:
    """The record; raises InputError for files as they are read, or where too few labels have LEAST_ROWS rows."""
    source = options.dataset_dir
    hierarchy = read_labels(source / LABEL_FILE)
    rows = {name: list(read_examples(source / name, hierarchy)) for name in {TRAIN_FILE, DEV_FILE, options.file}}
    new = left_out(hierarchy, rows[TRAIN_FILE], options.labels)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        _write_rest(folder / "rest", hierarchy, rows, new)
        whole, rest = (_trained(each, folder / f"of_{each.name}", options) for each in (source, folder / "rest"))
        texts = [row.text for row in rows[options.file]]
        actual = hierarchy.matrix([row.labels for row in rows[options.file]])

        def grown(examples: int, seed: int) -> tuple[Classifier, np.ndarray, np.ndarray]:
            shown = _shown(rows[TRAIN_FILE], new, examples, seed)
            return _answers(_grown(folder, rest, shown, hierarchy, new), texts)

        answers = {name: _answers(path, texts) for name, path in (("all", whole), ("rest", rest))}
        answers["added"] = grown(options.examples, options.seed)
        fewer = {
            str(count): [_mean_f1(grown(count, options.seed + draw), hierarchy, new, actual) for draw in range(DRAWS)]
            for count in options.fewer
        }
    return {
        "environment": environment(),
        "dataset": source.resolve().name,
        "options": {name: value for name, value in asdict(options).items() if not isinstance(value, Path)},
        **_compared(hierarchy, new, actual, answers),
        "mean_f1": {name: _mean_f1(answers[name], hierarchy, new, actual) for name in ("all", "added")},
        "mean_f1_of_fewer": fewer,
    }


def left_out(hierarchy: LabelHierarchy, rows: Sequence[Example], count: int) -> list[int]:
    """Labels without children that have LEAST_ROWS rows, evenly from all such."""
    support = hierarchy.matrix([row.labels for row in rows]).sum(axis=0)
    parents = set(hierarchy.parents.tolist())
    able = [label for label in range(len(hierarchy)) if label not in parents and support[label] >= LEAST_ROWS]
    if len(able) < count:
        raise InputError(
            f"{len(able)} labels without children have {LEAST_ROWS} rows; give --labels {len(able)} or less"
        )
    return [able[(2 * place + 1) * len(able) // (2 * count)] for place in range(count)]


def _write_rest(folder: Path, hierarchy: LabelHierarchy, rows: dict[str, list[Example]], new: list[int]) -> None:
    folder.mkdir()
    kept = LabelHierarchy(label for place, label in enumerate(hierarchy.labels) if place not in new)
    write_labels(folder / LABEL_FILE, kept)
    for name in (TRAIN_FILE, DEV_FILE):
        others = (row for row in rows[name] if not set(row.labels) & set(new))
        moved = (replace_labels(row, hierarchy, kept) for row in others)
        write_examples(folder / name, moved, kept)


def replace_labels(row: Example, old: LabelHierarchy, new: LabelHierarchy) -> Example:
    """A row as another hierarchy with its labels numbers them."""
    return Example(row.text, tuple(sorted(new.index[old.labels[label]] for label in row.labels)))


def _shown(rows: Sequence[Example], new: Sequence[int], examples: int, seed: int) -> list[Example]:
    random, places = np.random.default_rng(seed), set()
    for label in new:
        own = [place for place, row in enumerate(rows) if label in row.labels]
        places |= set(random.permutation(own)[:examples].tolist())
    return [rows[place] for place in sorted(places)]


def _grown(folder: Path, rest: Path, shown: list[Example], hierarchy: LabelHierarchy, new: Sequence[int]) -> Path:
    """The model of the rest with the new labels, by these rows."""
    write_examples(folder / "shown.txt", shown, hierarchy)
    options = LabelOptions(
        change=("add", *(hierarchy.labels[label] for label in new)),
        params_path=rest,
        output_path=folder / "grown",
        examples=folder / "shown.txt",
        dataset_dir=folder / "rest",
        dataset_output_dir=folder / "grown_data",
        overwrite=True,
    )
    return change_labels(options).path


def _mean_f1(
    answers: tuple[Classifier, np.ndarray, np.ndarray],
    hierarchy: LabelHierarchy,
    new: Sequence[int],
    actual: np.ndarray,
) -> float:
    """Of the new labels."""
    model, _, selected = answers
    columns = [model.hierarchy.index[hierarchy.labels[label]] for label in new]
    return round(float(np.mean([_f1(selected[:, own], actual[:, label]) for own, label in zip(columns, new)])), 4)


def _trained(dataset: Path, save_dir: Path, options: AddedLabelOptions) -> Path:
    choice = TrainingRun(dataset_dir=dataset, save_dir=save_dir, model_name=options.model_name, thresholds="global")
    train(choice if options.model_name == "linear" else replace(choice, epochs=options.epochs))
    return save_dir


def _answers(path: Path, texts: Sequence[str]) -> tuple[Classifier, np.ndarray, np.ndarray]:
    """A model, its logits and its label sets, [texts, labels] each."""
    model = load_classifier(path, "auto", None, BATCH)
    logits = model.logits(texts)
    return model, logits, model.decoder.decode(logits).selected


def _compared(
    hierarchy: LabelHierarchy, new: Sequence[int], actual: np.ndarray, answers: dict[str, Any]
) -> dict[str, Any]:
    found = []
    for label in new:
        own, path = actual[:, label], hierarchy.labels[label]
        line: dict[str, Any] = {"label": path, "rows": int(own.sum())}
        for name in ("all", "added"):
            model, _, selected = answers[name]
            line[name] = round(_f1(selected[:, model.hierarchy.index[path]], own), 4)
        found.append(line)
    model, before, old = answers["rest"]
    _, after, grown = answers["added"]
    known = ~actual[:, list(new)].any(axis=1)
    truth = actual[:, [hierarchy.index[path] for path in model.hierarchy.labels]]
    share = sum(line["added"] for line in found) / max(1e-9, sum(line["all"] for line in found))
    return {
        "labels": found,
        "share_of_f1": round(share, 4),
        "other_scores_equal_to_the_bit": bool(np.array_equal(before, after[:, : before.shape[1]])),
        "other_rows": int(known.sum()),
        "other_rows_changed": int((old != grown[:, : old.shape[1]])[known].any(axis=1).sum()),
        "micro_f1_of_other_rows": [
            round(_f1(each[known], truth[known]), 4) for each in (old, grown[:, : old.shape[1]])
        ],
    }


def _f1(predicted: np.ndarray, actual: np.ndarray) -> float:
    return float(2 * (predicted & actual).sum() / max(1, predicted.sum() + actual.sum()))


def parse_args(argv: Sequence[str] | None) -> AddedLabelOptions:
    return parse(AddedLabelOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    record = measure(options)
    options.write(record)
    for line in record["labels"]:
        print(f"{line['label']}: F1 {line['added']:.4f} added, {line['all']:.4f} trained, {line['rows']} rows")
    print(json.dumps({name: record[name] for name in record if name not in ("environment", "options", "labels")}))


if __name__ == "__main__":
    run(main)
