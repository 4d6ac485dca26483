"""Set up a Label Studio project for labels, fill it with texts, and turn its export into a dataset folder.

python training/label_studio.py --config labels.xml --label_file data/label.txt
python training/label_studio.py --export tasks.json --dataset_dir data --parts data --model export
python training/label_studio.py --export tasks.json --data_file texts.txt --model ./checkpoint/
python training/label_studio.py --export_file project.json --label_file data/label.txt --save_dir annotated

Exports may be JSON, JSON-MIN or CSV. An annotation without a label is a text that belongs nowhere; a task without an
annotation becomes a text of data.txt. A task that is written names the file that it came from as `split`, so that
`--keep_splits` puts corrected rows back where they were. In a program:

    from training.label_studio import LabelStudioOptions, convert
    convert(LabelStudioOptions(export_file="project.json", save_dir="data")).rows      {'train.txt': 4000, ...}
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.command import run
from pipeline.errors import InputError
from pipeline.files.atomic import atomic_writer
from pipeline.files.chunks import CHARACTERS_PER_CHUNK, chunks, rows_per_chunk
from pipeline.files.dataset import LABEL_FILE, read_labels, read_texts
from pipeline.labels.label_studio import CONTROL, RESULT, TEXT, Control, configuration, predictions
from pipeline.option_values import AUTO
from pipeline.options import option, parse
from training.checkpoint.classifier import Classifier, check_labels, load_classifier
from training.data.annotated import SPLIT_KEY, AnnotationOptions, collect
from training.data.dataset_folder import WrittenDataset
from training.data.label_studio.exports import ANNOTATIONS, DATA, Export

PREDICTIONS = "predictions"
BATCH_SIZE = 32


@dataclass(frozen=True)
class LabelStudioOptions(AnnotationOptions):
    """What is read from Label Studio, or written for it."""

    export_file: tuple[Path, ...] = option(
        ("project.json",), "files that Label Studio exported: JSON, JSON-MIN or CSV, as the content shows"
    )
    control: str = option(CONTROL, "name of the Taxonomy or Choices tag that labels were chosen with")
    text_key: str = option(TEXT, "key of the text in a task's data")
    config: Path | None = option(
        None, "write the labelling configuration for --label_file as this file, and read no export", metavar="FILE"
    )
    leaves_only: bool = option(False, "of --config: let people choose only labels that have none below them")
    data_file: Path | None = option(None, "texts, one a line, that --export writes instead of --dataset_dir")
    model: Path | None = option(None, "a checkpoint or a bundle whose predictions --export adds to the tasks")

    def check(self) -> None:
        super().check()
        if self.config and (self.export or not self.label_file):
            raise InputError("--config FILE is written for the labels of --label_file; give that, and no --export")
        if self.leaves_only and not self.config:
            raise InputError("--leaves_only is about the configuration that --config FILE writes; give that, too")
        if bool(self.export) != bool(self.dataset_dir or self.data_file) or (self.dataset_dir and self.data_file):
            raise InputError(
                "--export FILE writes the rows of --dataset_dir FOLDER or the texts of --data_file FILE; give it with "
                "one of these, and to read from Label Studio none of them"
            )
        if self.model and not self.export:
            raise InputError("--model predicts the tasks that --export FILE writes; give that, too")


def convert(options: LabelStudioOptions) -> WrittenDataset:
    """Write what `export_file` holds as the dataset folder `save_dir`; all rows of a text go to one file.

    Raises:
        InputError: an option or a file cannot be used; what was at `save_dir` is untouched.
    """
    options.check_target(*options.export_file)
    notes: list[str] = []
    read = (options.control, options.text_key, options.separator, notes)
    return collect(options, (Export(path, *read).records() for path in options.export_file), further=notes)


def write_config(options: LabelStudioOptions) -> int:
    """Write the labelling configuration `config` for the labels of `label_file`; returns how many can be chosen.

    Raises:
        InputError: the labels cannot be read, or the file is there and `overwrite` is not set.
    """
    if options.config is None or options.label_file is None:
        raise InputError("--config FILE and --label_file FILE are needed to write a labelling configuration")
    hierarchy = read_labels(options.label_file)
    options.check_output("--config", options.config, options.label_file.parent)
    with atomic_writer(options.config) as stream:
        stream.write(configuration(hierarchy, options.leaves_only).encode())
    return len(hierarchy.paths)


def export(options: LabelStudioOptions) -> int:
    """Write tasks to the file `export`, which Label Studio imports; returns how many.

    A row of a labelled file is a task with an annotation, of its deepest labels; reading adds their ancestors again.

    Raises:
        InputError: a file is missing or malformed, the file is there and `overwrite` is not set, or it is one that is
            read; or the model cannot be used. What was there is untouched.
    """
    target, source = options.export, options.dataset_dir or options.data_file
    if target is None or source is None:
        raise InputError("--export FILE, and --dataset_dir FOLDER or --data_file FILE, are needed to write tasks")
    options.check_output("--export", target, options.dataset_dir or source.parent, *filter(None, [options.data_file]))
    tasks = _tasks(options)
    if options.model:
        tasks = _predicted(tasks, load_classifier(options.model, AUTO, None, BATCH_SIZE, _check(options)))
    count = 0
    with atomic_writer(target) as stream:
        for count, task in enumerate(tasks, start=1):
            stream.write(("[\n" if count == 1 else ",\n").encode() + json.dumps(task, ensure_ascii=False).encode())
        stream.write(b"\n]\n" if count else b"[]\n")
    return count


def _check(options: LabelStudioOptions) -> Any:
    """What holds a model's labels against those of the dataset folder, where there is one."""
    path = options.label_file or (options.dataset_dir / LABEL_FILE if options.dataset_dir else None)
    return lambda hierarchy, model_name: check_labels(path, hierarchy) if path else None


def _tasks(options: LabelStudioOptions) -> Iterator[dict[str, Any]]:
    if options.dataset_dir is None:
        yield from ({DATA: {TEXT: text}} for text in read_texts(options.data_file or ""))
        return
    for text, labels, part in options.rows(options.dataset_dir):
        task: dict[str, Any] = {DATA: {TEXT: text, SPLIT_KEY: part}}
        yield task if labels is None else {**task, ANNOTATIONS: [{RESULT: Control().result(labels)}]}


def _predicted(tasks: Iterator[dict[str, Any]], classifier: Classifier) -> Iterator[dict[str, Any]]:
    """The tasks with what a model predicts, piece by piece."""
    hierarchy = classifier.hierarchy
    for chunk in chunks(tasks, rows_per_chunk(len(hierarchy)), CHARACTERS_PER_CHUNK, lambda task: len(_text(task))):
        decoded = classifier.decoder.decode(classifier.logits(list(map(_text, chunk))))
        answers = [[each.label for each in row] for row in decoded.predictions()]
        found = predictions(Control(), hierarchy, answers, decoded.scores, classifier.identity)
        yield from ({**task, PREDICTIONS: [each]} for task, each in zip(chunk, found))


def _text(task: dict[str, Any]) -> str:
    return task[DATA][TEXT]


def parse_args(argv: Sequence[str] | None) -> LabelStudioOptions:
    return parse(LabelStudioOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    if options.config:
        print(f"{options.config}: {write_config(options)} labels to choose (Settings, Labeling Interface, Code)")
        return
    if options.export:
        print(f"{options.export}: {export(options)} tasks for Label Studio (Import)")
        return
    convert(options).tell()


if __name__ == "__main__":
    run(main)
