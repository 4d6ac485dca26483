"""The folder that the pages' commands run in: what a reader has made by then, but small."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline.files.checksums import write_all_checksums
from pipeline.files.dataset import read_examples, read_labels, write_examples, write_labels, write_texts
from pipeline.labels.label_studio import Control
from tests.pipeline.files.tables.workbooks import write_workbook
from training.checkpoint.files import RECORD_FILE
from training.model.static_graph import export_static

TRAIN_ROWS, DEV_ROWS, UNLABELLED_ROWS = 120, 40, 30


class Annotator:
    """The person in doccano or Label Studio, who knows every text's labels."""

    def __init__(self, dataset: Path) -> None:
        hierarchy = read_labels(dataset / "label.txt")
        rows = [
            row for name in ("train.txt", "dev.txt", "test.txt") for row in read_examples(dataset / name, hierarchy)
        ]
        self._labels = {row.text: [hierarchy.labels[label] for label in row.labels] for row in rows}

    def correct(self, source: Path, target: Path) -> None:
        """Give every row of a file, of texts or of doccano's JSON lines, the labels that it should have."""
        lines = source.read_text(encoding="utf-8").splitlines()
        assert lines, f"{source} is empty"
        self.annotate((json.loads(line)["text"] if source.suffix == ".jsonl" else line for line in lines), target)

    def annotate(self, texts: Iterable[str], target: Path) -> None:
        """Write doccano's export of these texts."""
        lines = [json.dumps({"text": text, "label": self._labels[text]}) for text in texts]
        target.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def annotate_tasks(self, texts: Iterable[str], target: Path) -> None:
        """Write Label Studio's export of these texts."""
        tasks = [
            {"data": {"text": text}, "annotations": [{"result": Control().result(self._labels[text])}]}
            for text in texts
        ]
        target.write_text(json.dumps(tasks), encoding="utf-8")


def furnish(place: Path, dataset: Path, checkpoint: Path, bundle: Path, annotator: Annotator) -> None:
    """Put a small dataset and what the tutorials make of it into an empty folder."""
    data = place / "data"
    data.mkdir()
    hierarchy = read_labels(dataset / "label.txt")
    rows, dev = (list(read_examples(dataset / name, hierarchy)) for name in ("train.txt", "dev.txt"))
    write_labels(data / "label.txt", hierarchy)
    write_examples(data / "train.txt", rows[:TRAIN_ROWS], hierarchy)
    for name in ("dev.txt", "test.txt"):
        write_examples(data / name, dev[:DEV_ROWS], hierarchy)
    unlabelled = [row.text for row in rows[TRAIN_ROWS : TRAIN_ROWS + UNLABELLED_ROWS]]
    write_texts(data / "data.txt", unlabelled)
    annotator.annotate(unlabelled, place / "doccano.jsonl")
    annotator.annotate_tasks(unlabelled, place / "project.json")
    table = [
        [text, *hierarchy.labels[max(hierarchy.deepest(labels))].split("##")] for text, labels in rows[:TRAIN_ROWS]
    ]
    write_workbook(place / "orders.xlsx", [["text", "category", "subcategory"], *(row[:3] for row in table)])
    for name in ("checkpoint", "old/checkpoint", "teacher1", "runs/orders/checkpoint", "runs/linear/checkpoint"):
        shutil.copytree(checkpoint, place / name)
    for name in ("export", "release", "prune/0.75", "prune/0.5"):
        shutil.copytree(bundle, place / name)
        if name.startswith("prune"):  # a pruned model is a checkpoint, too
            shutil.copyfile(checkpoint / RECORD_FILE, place / name / RECORD_FILE)
            write_all_checksums(place / name)


class Graphs:
    """Writes a model's static graphs, and copies of them when the same parameters come again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, model: Any, folder: Path) -> None:
        digest = hashlib.sha256()
        for name, tensor in model.state_dict().items():
            digest.update(name.encode() + tensor.numpy().tobytes())
        known = self._folder / digest.hexdigest()
        if not known.exists():
            known.mkdir()
            export_static(model, known)
        shutil.copytree(known, folder, dirs_exist_ok=True)
