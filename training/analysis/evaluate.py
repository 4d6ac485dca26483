"""Evaluate a trained model class by class and write the rows that it gets wrong to a file.

python training/analysis/evaluate.py --dataset_dir data --params_path ./checkpoint
python training/analysis/evaluate.py --data_file test.txt --report report.html

A summary is printed; --per_class prints the figures of every label instead. In a program:

    from training.analysis.evaluate import EvaluateOptions, evaluate

    evaluate(EvaluateOptions(dataset_dir="data"))["summary"]["micro_f1"]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.command import run
from pipeline.files.atomic import atomic_writer
from pipeline.files.dataset import DEV_FILE, LABEL_FILE, TRAIN_FILE, read_labels
from pipeline.options import option, parse
from training.analysis.evaluation import check_labelled_file, measure
from training.analysis.faithfulness import faithfulness
from training.analysis.per_class import SCREEN, stamped, write_per_class
from training.analysis.report import write_report
from training.analysis.summary import summary
from training.checkpoint.classifier import check_labels
from training.data.outputs import check_outputs
from training.options import AnswerOptions, TrainedModelOptions


@dataclass(frozen=True)
class EvaluateOptions(TrainedModelOptions, AnswerOptions):
    """Which model is measured, on what, and what is written of it."""

    bad_case_path: Path = option("./bad_case.txt", "where the wrong rows are written", in_run="bad_case.txt")
    data_file: str = option(
        DEV_FILE,
        "labelled rows that the model did not learn from, such as test.txt: in --dataset_dir, or a path",
        metavar="FILE",
        aliases=("dev_file",),
    )
    train_file: str = option(
        TRAIN_FILE, "training rows in --dataset_dir; only counted where another --data_file alone is given"
    )
    label_file: str = option(LABEL_FILE, "label paths in --dataset_dir")
    report: Path | None = option(None, "write a page to look at: one HTML file", metavar="FILE", in_run="report.html")
    per_class: Path | None = option(
        None,
        "print each label's figures on train and dev, instead of the summary; with a FILE, write them there",
        metavar="FILE",
        bare=str(SCREEN),
    )
    explain: int | None = option(
        None, "explain so many texts of --data_file, and measure what the named words are worth", at_least=1
    )
    json: Path | None = option(None, "write every figure as JSON", metavar="FILE", in_run="evaluation.json")


def evaluate(options: EvaluateOptions) -> dict[str, Any]:
    """Measure a model, and write the wrong rows, and the page and the figures where they are asked for.

    Returns:
        The figures, see `training.analysis.evaluation.measure`, and a `title`; with `explain`, as `explanations`, those
        of `training.analysis.faithfulness.faithfulness`.

    Raises:
        InputError: a file of the dataset or the model cannot be used, or a path must not be written.
        EnvironmentFault: the machine lacks the device.
        ClassifierError: the model's scores are not finite.
    """
    label_path, train_path = (options.folder / name for name in (options.label_file, options.train_file))
    dev_path = options.file(options.data_file)
    outputs = {"--bad_case_path": options.bad_case_path, "--report": options.report, "--json": options.json}
    if options.per_class != SCREEN:
        outputs["--per_class"] = options.per_class
    check_outputs(outputs, (label_path, train_path, dev_path), options.folder)
    listed = read_labels(label_path)
    measures_train = options.data_file == DEV_FILE or bool(options.given("train_file"))
    dev = check_labelled_file(dev_path, listed)
    train = check_labelled_file(train_path, listed) if measures_train or train_path.exists() else None
    classifier = options.classifier(lambda hierarchy, _: check_labels(label_path, hierarchy))
    classifier = replace(classifier, decoder=options.decoder(classifier.decoder))
    with atomic_writer(options.bad_case_path) as bad_cases:
        figures = measure(classifier, train, dev, bad_cases, measures_train)
    if options.explain:
        figures["explanations"] = faithfulness(classifier, dev, options.explain)
    evaluation = {"title": f"{options.params_path} on {dev_path}", **figures}
    if options.json:
        write_json(options.json, evaluation)
    if options.report:
        write_report(options.report, evaluation)
    if options.per_class and options.per_class != SCREEN:
        write_per_class(options.per_class, evaluation)
    return evaluation


def parse_args(argv: Sequence[str] | None) -> EvaluateOptions:
    return parse(EvaluateOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    evaluation = evaluate(options)
    for line in stamped(evaluation) if options.per_class == SCREEN else summary(evaluation):
        print(line)
    written = {
        "wrong rows": options.bad_case_path,
        "every label": options.per_class if options.per_class != SCREEN else None,
        "page": options.report,
        "figures": options.json,
    }
    print("; ".join(f"{what}: {path}" for what, path in written.items() if path), file=sys.stderr)


def write_json(path: Path, evaluation: dict[str, Any]) -> None:
    """Write the evaluation atomically."""
    with atomic_writer(path) as stream:
        stream.write(json.dumps(evaluation, ensure_ascii=False, indent=1, allow_nan=False).encode() + b"\n")


if __name__ == "__main__":
    run(main)
