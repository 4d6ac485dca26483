"""Evaluate a trained model class by class and write the rows that it gets wrong to a file.

python training/analysis/evaluate.py --dataset_dir data --params_path ./checkpoint

    from training.analysis.evaluate import EvaluateOptions, evaluate

    evaluate(EvaluateOptions(dataset_dir="data"))["summary"]["micro_f1"]
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.command import run
from pipeline.files.atomic import atomic_writer
from pipeline.files.dataset import DEV_FILE, LABEL_FILE, TRAIN_FILE, read_labels
from pipeline.options import option, parse
from training.analysis.evaluation import check_labelled_file, measure
from training.analysis.report import write_report
from training.checkpoint.classifier import check_labels
from training.data.outputs import check_outputs
from training.options import DecodingOptions, ModelOptions


@dataclass(frozen=True)
class EvaluateOptions(ModelOptions, DecodingOptions):
    """Which model is measured, on what, and what is written of it."""

    dataset_dir: Path = option(help="folder with train.txt, dev.txt and label.txt")
    bad_case_path: Path = option("./bad_case.txt", "where the wrong rows are written")
    train_file: str = option(TRAIN_FILE, "training rows in --dataset_dir; only counted where --dev_file alone is given")
    dev_file: str = option(DEV_FILE, "rows in --dataset_dir that the model did not learn from")
    label_file: str = option(LABEL_FILE, "label paths in --dataset_dir")
    report: Path | None = option(None, "write a page to look at: one HTML file", metavar="FILE")
    json: Path | None = option(None, "write every figure as JSON", metavar="FILE")


def evaluate(options: EvaluateOptions) -> dict[str, Any]:
    """Measure a model, and write the wrong rows, and the page and the figures where they are asked for.

    Returns:
        The figures, see `training.analysis.evaluation.measure`, and a `title`.

    Raises:
        InputError: a file of the dataset or the model cannot be used, or a path must not be written.
        EnvironmentFault: the machine lacks the device.
        ClassifierError: the model's scores are not finite.
    """
    label_path, train_path, dev_path = (
        options.dataset_dir / name for name in (options.label_file, options.train_file, options.dev_file)
    )
    outputs = {"--bad_case_path": options.bad_case_path, "--report": options.report, "--json": options.json}
    check_outputs(outputs, (label_path, train_path, dev_path), options.dataset_dir)
    listed = read_labels(label_path)
    measures_train = options.dev_file == DEV_FILE or options.train_file != TRAIN_FILE
    dev = check_labelled_file(dev_path, listed)
    train = check_labelled_file(train_path, listed) if measures_train or train_path.exists() else None
    classifier = options.classifier(lambda hierarchy, _: check_labels(label_path, hierarchy))
    classifier = replace(classifier, decoder=options.decoder(classifier.decoder))
    with atomic_writer(options.bad_case_path) as bad_cases:
        figures = measure(classifier, train, dev, bad_cases, measures_train)
    evaluation = {"title": f"{options.params_path} on {dev_path}", **figures}
    if options.json:
        write_json(options.json, evaluation)
    if options.report:
        write_report(options.report, evaluation)
    return evaluation


def parse_args(argv: Sequence[str] | None) -> EvaluateOptions:
    return parse(EvaluateOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    for line in printed(evaluate(parse_args(argv))):
        now = datetime.now()
        print(f"[{now:%Y-%m-%d %H:%M:%S},{now.microsecond // 1000:03d}] [    INFO] - {line}")


def write_json(path: Path, evaluation: dict[str, Any]) -> None:
    """Write the evaluation atomically."""
    with atomic_writer(path) as stream:
        stream.write(json.dumps(evaluation, ensure_ascii=False, indent=1, allow_nan=False).encode() + b"\n")


def printed(evaluation: dict[str, Any]) -> Iterator[str]:
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
    yield f"Expected calibration error in {name} dataset: {_percent(summary['calibration_error'])}%"
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


if __name__ == "__main__":
    run(main)
