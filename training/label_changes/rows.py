"""A dataset folder with other labels: every row says of its text what it said before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.errors import InputError
from pipeline.files.dataset import (
    DATA_FILE,
    DEV_FILE,
    LABEL_FILE,
    TRAIN_FILE,
    read_examples,
    read_labels,
    read_texts,
)
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.output import counted
from training.checkpoint.classifier import check_labels
from training.data.dataset_folder import FILES, LABELLED_FILES, WrittenDataset, check_target, write_dataset
from training.data.row_collector import Row
from training.label_changes.changes import Change, Labels

_NEEDED = (TRAIN_FILE, DEV_FILE)


def check_dataset(source: Path, target: Path, overwrite: bool, hierarchy: LabelHierarchy) -> None:
    """Raise InputError unless a dataset folder has the labels of the model, and may be rewritten to `target`."""
    if not source.is_dir():
        raise InputError(f"--dataset_dir {source} is no folder")
    check_labels(source / LABEL_FILE, hierarchy)
    present = [source / name for name in FILES if (source / name).exists()]
    check_target(target, "--dataset_output_dir", present, overwrite)


def rewrite_dataset(source: Path, target: Path, changes: list[Change], examples: Sequence[Row] = ()) -> WrittenDataset:
    """Write the dataset folder at `source` with changed labels to `target`, atomically.

    A row's deepest labels tell what it says; they are changed, and get the ancestors that they have then. A row that
    keeps no label stays as a text that belongs nowhere. One that is equal to an earlier one only since the change is
    left out.

    Args:
        examples: of labels that are added, which train.txt gets; where it has the text, that row gets the labels.

    Raises:
        InputError: a file cannot be used, or no row is left of a file that training needs.
    """
    hierarchy = read_labels(source / LABEL_FILE)
    labels = Labels(hierarchy)
    labels.apply(changes)
    files: dict[str, list[Row]] = {}
    said = []
    for name in LABELLED_FILES:
        if not (source / name).exists():
            continue
        files[name], bare, repeated = _changed_rows(source / name, hierarchy, labels.destinations)
        if name == TRAIN_FILE and examples:
            files[name], both = _with_examples(files[name], examples)
            said += both
        if name in _NEEDED and not any(row.labels for row in files[name]):
            raise InputError(f"{source / name}: no row would keep a label; drop fewer labels, or label more texts")
        if bare:
            said.append(f"{name}: {counted(bare, 'row')} kept no label, and now belong nowhere")
        if repeated:
            said.append(f"{name}: {counted(repeated, 'row')} became equal to an earlier one and left out")
    texts = list(read_texts(source / DATA_FILE)) if (source / DATA_FILE).exists() else []
    return write_dataset(target, labels.hierarchy, files, texts, said)


def _with_examples(rows: list[Row], examples: Sequence[Row]) -> tuple[list[Row], list[str]]:
    """Rows and examples, each text's labels united, and what is to be said of texts that are both."""
    labels = {row.same: row.labels for row in examples}
    known = {row.same for row in rows}
    both = [row for row in rows if labels.get(row.same, frozenset()) - row.labels]
    united = [replace(row, labels=row.labels | labels.get(row.same, frozenset())) for row in rows]
    said = []
    if both:
        shown = ", ".join(sorted(both[0].labels)) or "no label"
        said.append(
            f"{TRAIN_FILE}: {counted(len(both), 'row')} had the text of an example and got its labels, too: line "
            f"{both[0].line} first, {both[0].text!r:.40}, {shown}"
        )
    return united + [row for row in examples if row.same not in known], said


def _changed_rows(
    path: Path, hierarchy: LabelHierarchy, destinations: Mapping[str, str | None]
) -> tuple[list[Row], int, int]:
    """The rows of a file, how many of them lost all their labels, and how many became equal to an earlier one."""
    rows, bare, repeated = [], 0, 0
    first: dict[tuple[str, frozenset[str]], tuple[int, ...]] = {}
    for number, (text, positions) in enumerate(read_examples(path, hierarchy), start=1):
        own = [destinations[hierarchy.labels[position]] for position in hierarchy.deepest(positions)]
        new = frozenset(label for label in own if label is not None)
        if first.setdefault((text, new), positions) != positions:
            repeated += 1
        else:
            rows.append(Row(text, new, number, path.name, path))
            bare += bool(positions) and not new
    return rows, bare, repeated
