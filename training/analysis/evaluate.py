"""Evaluate a trained model class by class and write the rows that it gets wrong to a file.

python training/analysis/evaluate.py --device cpu --dataset_dir data --params_path ./checkpoint
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Callable

from pipeline.command import run
from pipeline.errors import InputError
from pipeline.files.atomic import atomic_writer
from pipeline.files.dataset import DEV_FILE, LABEL_FILE, TRAIN_FILE, read_labels
from training.analysis.evaluation import check_labelled_file, evaluate
from training.checkpoint.classifier import check_labels
from training.options import (
    add_decoding_options,
    add_model_options,
    check_decoding_options,
    chosen_classifier,
    chosen_decoder,
)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add_model_options(parser)
    add("--dataset_dir", required=True, help="folder with train.txt, dev.txt and label.txt")
    add("--bad_case_path", default="./bad_case.txt", help="where the wrong rows are written (%(default)s)")
    add("--train_file", default=TRAIN_FILE, help="training rows in --dataset_dir (%(default)s)")
    add("--dev_file", default=DEV_FILE, help="rows in --dataset_dir that the model did not learn from (%(default)s)")
    add("--label_file", default=LABEL_FILE, help="label paths in --dataset_dir (%(default)s)")
    add_decoding_options(parser)
    add("--report", metavar="FILE", help="write a page to look at: one HTML file")
    add("--json", metavar="FILE", help="write every figure as JSON")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    folder = Path(args.dataset_dir)
    label_path, train_path, dev_path = (folder / name for name in (args.label_file, args.train_file, args.dev_file))
    check_decoding_options(args)
    outputs = {"--bad_case_path": args.bad_case_path, "--report": args.report, "--json": args.json}
    check_outputs(outputs, (label_path, train_path, dev_path))
    writers: dict[str, Callable[[Path, dict[str, Any]], None]] = {}
    if args.json:
        writers[args.json] = write_json
    if args.report:
        from training.analysis.report import write_report

        writers[args.report] = write_report
    listed = read_labels(label_path)
    train, dev = (check_labelled_file(path, listed) for path in (train_path, dev_path))
    classifier = chosen_classifier(args)
    check_labels(label_path, classifier.hierarchy)
    classifier = replace(classifier, decoder=chosen_decoder(classifier.decoder, args))
    with atomic_writer(args.bad_case_path) as bad_cases:
        evaluation = evaluate(classifier, train, dev, bad_cases)
    evaluation = {"title": f"{args.params_path} on {dev_path}", **evaluation}
    try:
        for line in printed(evaluation):
            now = datetime.now()
            print(f"[{now:%Y-%m-%d %H:%M:%S},{now.microsecond // 1000:03d}] [    INFO] - {line}")
    finally:  # also when the reader of the printed report leaves early
        for path, write in writers.items():
            write(Path(path), evaluation)


def check_outputs(outputs: Mapping[str, str | None], inputs: Sequence[Path]) -> None:
    """Refuse, before hours of work, paths that cannot be written, or whose content would be lost.

    Args:
        outputs: paths by option; None where the option is not given.
        inputs: files that are read.

    Raises:
        InputError: a path is empty, a folder or not in a folder that can be written, an input, or another output.
    """
    taken = {path.resolve(): str(path) for path in inputs}
    for option, name in outputs.items():
        if name is None:
            continue
        path = Path(name)
        if not name or path.is_dir():
            raise InputError(f"{option} {name!r} is a folder; give the path of a file")
        above = next(folder for folder in path.resolve().parents if folder.exists())
        if not above.is_dir() or not os.access(above, os.W_OK):
            raise InputError(f"{option} {name} cannot be written: {above} is no folder that you may write to")
        if path.resolve() in taken:
            raise InputError(f"{option} {name} would overwrite {taken[path.resolve()]}; give another path")
        taken[path.resolve()] = f"what {option} writes"


def write_json(path: Path, evaluation: dict[str, Any]) -> None:
    """Write the evaluation whole or not at all."""
    with atomic_writer(path) as stream:
        stream.write(json.dumps(evaluation, ensure_ascii=False, indent=1, allow_nan=False).encode() + b"\n")


def printed(evaluation: dict[str, Any]) -> Iterator[str]:
    """The lines of the printed report: averages, levels, then each class; figures in percent."""
    summary = evaluation["summary"]
    yield "-----Evaluate model-------"
    yield f"Train dataset size: {evaluation['train_rows']}"
    yield f"Dev dataset size: {evaluation['rows']}"
    yield f"Accuracy in dev dataset: {_percent(summary['accuracy'])}%"
    yield f"Macro avg in dev dataset: {_precision_recall_f1(summary, 'macro_')}"
    yield f"Micro avg in dev dataset: {_precision_recall_f1(summary, 'micro_')}"
    for level in evaluation["levels"]:
        yield (
            f"Level {level['level']} Label Performance: Macro F1 score: {_percent(level['macro_f1'])} | "
            f"Micro F1 score: {_percent(level['micro_f1'])} | Accuracy: {_percent(level['accuracy'])}"
        )
    yield f"Hierarchical avg in dev dataset: {_precision_recall_f1(summary, 'hierarchical_')}"
    yield (
        f"Path-constrained in dev dataset: C-Macro F1 score: {_percent(summary['constrained_macro_f1'])} | "
        f"C-Micro F1 score: {_percent(summary['constrained_micro_f1'])}"
    )
    yield f"Consistent predictions in dev dataset: {_percent(summary['consistent_share'])}%"
    ranks = (f"P@{rank}: {_percent(summary[f'precision_at_{rank}'])}" for rank in (1, 3, 5))
    yield f"Precision at k in dev dataset: {' | '.join(ranks)}"
    yield f"Expected calibration error in dev dataset: {_percent(summary['calibration_error'])}%"
    for label in evaluation["labels"]:
        yield f"Class name: {label['label']}"
        for name, rows in (("train", evaluation["train_rows"]), ("dev", evaluation["rows"])):
            scores = label[name]
            share = f"{scores['support']}({100 * scores['support'] / rows:.1f}%)"
            yield f"Evaluation examples in {name} dataset: {share} | {_precision_recall_f1(scores)}"
        yield "----------------------------"


def _precision_recall_f1(scores: Mapping[str, float], prefix: str = "") -> str:
    precision, recall, f1 = (_percent(scores[f"{prefix}{name}"]) for name in ("precision", "recall", "f1"))
    return f"precision: {precision} | recall: {recall} | F1 score {f1}"


def _percent(score: float) -> str:
    return f"{100 * score:.2f}"


if __name__ == "__main__":
    run(main)
