"""How predictions are shown: a tree for people, JSON lines for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from pipeline.decoding import Prediction
from pipeline.hierarchy import SEPARATOR, parent_path


def as_json_line(text: str, predictions: Sequence[Prediction]) -> str:
    """`{"text": ..., "labels": [{"label": path, "confidence": p}, ...]}`, most confident first."""
    labels = [{"label": label, "confidence": round(confidence, 6)} for label, confidence in predictions]
    return json.dumps({"text": text, "labels": labels}, ensure_ascii=False)


def as_tree(text: str, predictions: Sequence[Prediction]) -> str:
    """The text, and below it its label paths as a tree with confidences."""
    confidences = {label: confidence for label, confidence in predictions}
    children: dict[str | None, list[str]] = {}
    for label in confidences:
        parent = parent_path(label)
        children.setdefault(parent if parent in confidences else None, []).append(label)
    lines = [text]

    def add(parent: str | None, indent: str) -> None:
        below = children.get(parent, [])
        for label in below:
            last = label is below[-1]
            # An inconsistent answer can hold a label without its parent: it is then shown with its whole path.
            name = label.rpartition(SEPARATOR)[2] if parent else label
            lines.append(f"{indent}{'└─' if last else '├─'} {name}  {confidences[label]:.3f}")
            add(label, indent + ("   " if last else "│  "))

    add(None, "  ")
    if not predictions:
        lines.append("  (no label reaches its threshold)")
    return "\n".join(lines)


FORMATS: dict[str, Callable[[str, Sequence[Prediction]], str]] = {"tree": as_tree, "jsonl": as_json_line}
