"""The report of the original application: averages, levels, then each class, in its own lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.files.atomic import atomic_writer

SCREEN = Path("-")


def stamped(evaluation: dict[str, Any]) -> Iterator[str]:
    """The lines with time and level before each, as a log has them."""
    for line in per_class(evaluation):
        now = datetime.now()
        yield f"[{now:%Y-%m-%d %H:%M:%S},{now.microsecond // 1000:03d}] [    INFO] - {line}"


def write_per_class(path: Path, evaluation: dict[str, Any]) -> None:
    """Write the lines atomically."""
    with atomic_writer(path) as stream:
        for line in per_class(evaluation):
            stream.write(f"{line}\n".encode())


def per_class(evaluation: dict[str, Any]) -> Iterator[str]:
    """The lines of the printed report: averages, levels, then each class; figures in percent."""
    summary, name = evaluation["summary"], Path(evaluation["file"]).stem
    yield "-----Evaluate model-------"
    if evaluation["train_rows"]:
        yield f"Train dataset size: {evaluation['train_rows']}"
    yield f"{name[:1].upper()}{name[1:]} dataset size: {evaluation['rows']}"
    yield f"Accuracy in {name} dataset: {_percent(summary['accuracy'])}%"
    yield f"Macro avg in {name} dataset: {_precision_recall_f1(summary, 'macro_')}"
    yield f"Micro avg in {name} dataset: {_precision_recall_f1(summary, 'micro_')}"
    for level in evaluation["levels"]:
        yield (
            f"Level {level['level']} Label Performance: Macro F1 score: {_percent(level['macro_f1'])} | "
            f"Micro F1 score: {_percent(level['micro_f1'])} | Accuracy: {_percent(level['accuracy'])}"
        )
    yield f"Hierarchical avg in {name} dataset: {_precision_recall_f1(summary, 'hierarchical_')}"
    yield (
        f"Path-constrained in {name} dataset: C-Macro F1 score: {_percent(summary['constrained_macro_f1'])} | "
        f"C-Micro F1 score: {_percent(summary['constrained_micro_f1'])}"
    )
    yield f"Consistent predictions in {name} dataset: {_percent(summary['consistent_share'])}%"
    ranks = (f"P@{rank}: {_percent(summary[f'precision_at_{rank}'])}" for rank in (1, 3, 5))
    yield f"Precision at k in {name} dataset: {' | '.join(ranks)}"
    for when, figures in (("", summary), (" before calibration", evaluation["uncalibrated"])):
        if figures:
            answered = f"of answered labels: {_percent(figures['answered_calibration_error'])}%"
            error = _percent(figures["calibration_error"])
            yield f"Expected calibration error{when} in {name} dataset: {error}% | {answered}"
    train = ("train", "train", evaluation["train_rows"])
    for label in evaluation["labels"]:
        yield f"Class name: {label['label']}"
        for key, called, rows in (*[train] * evaluation["train_measured"], ("dev", name, evaluation["rows"])):
            scores = label[key]
            share = f"{scores['support']}({100 * scores['support'] / rows:.1f}%)"
            yield f"Evaluation examples in {called} dataset: {share} | {_precision_recall_f1(scores)}"
        yield "----------------------------"


def _precision_recall_f1(scores: Mapping[str, float], prefix: str = "") -> str:
    precision, recall, f1 = (_percent(scores[f"{prefix}{name}"]) for name in ("precision", "recall", "f1"))
    return f"precision: {precision} | recall: {recall} | F1 score {f1}"


def _percent(score: float) -> str:
    return f"{100 * score:.2f}"
