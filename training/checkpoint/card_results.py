"""What a model card tells of a model's figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.files.manifest import Manifest
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.metrics.sets import COUNTED, known_counts
from training.checkpoint.card_text import escape, markdown_table
from training.data.reading import FEW_ROWS

WEAKEST_LABELS = 5


def results(manifest: Manifest, hierarchy: LabelHierarchy) -> str:
    """The section of a card, in Markdown."""
    dev = manifest.metrics.get("dev", {})
    if "micro_f1" not in dev:
        return "Not recorded."
    columns = ("micro_f1", "macro_f1", "micro_precision", "micro_recall", "accuracy")
    rows = [_figures("all", len(hierarchy), dev, columns)]
    for level, averages in dev.get("levels", {}).items():
        count = int((hierarchy.levels == int(level)).sum())
        rows.append(_figures(f"level {int(level)}", count, averages, columns))
    said = [
        "On the development file, with the model in float32:",
        markdown_table(("", "labels", *map(_heading, columns)), rows),
    ]
    if weakest := _weakest(manifest):
        said.append(weakest)
    if "consistent_share" in dev:
        said.append(f"Answers in which every label has its parents: {100 * dev['consistent_share']:.2f} %.")
    said.append("Accuracy is the share of texts whose whole label set, or all labels of the level, are right.")
    if other := manifest.training.get("measured_with"):
        said.append(f"These figures were measured with {other}; this bundle decodes otherwise, see below.")
    return "\n\n".join(said)


def _weakest(manifest: Manifest) -> str:
    """Labels of the lowest F1 on the development file, of those that enough of its texts have."""
    counts = known_counts(manifest.training.get("data", {}), len(manifest.labels))
    scored = [
        (2 * right / (rows + answered), rows, label)
        for label, rows, answered, right in zip(manifest.labels, *(counts[name] for name in COUNTED))
        if None not in (rows, answered, right) and rows >= FEW_ROWS
    ]
    if not scored:
        return ""
    lowest = [(escape(label), f"{100 * f1:.2f}", f"{rows:,}") for f1, rows, label in sorted(scored)[:WEAKEST_LABELS]]
    head = f"The lowest F1 of single labels, of the {len(scored)} that at least {FEW_ROWS} of its texts have:"
    return f"{head}\n\n{markdown_table(('label', 'F1', 'texts'), lowest)}"


def _heading(column: str) -> str:
    return column.replace("_f1", " F1").replace("_", " ")


def _figures(name: str, labels: int, figures: Mapping[str, Any], columns: Sequence[str]) -> tuple[str, ...]:
    cells = (f"{100 * figures[column]:.2f}" if column in figures else "-" for column in columns)
    return (name, str(labels), *cells)
