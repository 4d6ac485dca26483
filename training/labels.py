"""Rename, move, merge, drop or add labels of a trained model, without training: all other labels keep their scores.

python training/labels.py rename 组织关系##裁员 组织关系##减员 --params_path ./checkpoint/ --output_path ./relabelled
python training/labels.py --changes changes.txt --dataset_dir data --dataset_output_dir relabelled_data
python training/labels.py add 组织行为##集会 --examples new.txt --dataset_dir data --dataset_output_dir relabelled_data

A label scores the same to the bit, whatever it is called and wherever it stands. `move PATH ''` moves a label to the
top level; labels below one that is renamed, moved or dropped go with it. A label that is added is learnt from the rows
of --examples that have it, held against the training set; a single one is enough for a guess. In a program:

    from training.labels import LabelOptions, change_labels

    checkpoint = change_labels(LabelOptions(change=("drop", "组织关系##裁员")))
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.command import run
from pipeline.errors import InputError
from pipeline.files.bundle import MANIFEST_FILE
from pipeline.files.checksums import check_replaceable
from pipeline.metrics.traffic import TRAFFIC
from pipeline.options import option, parse
from pipeline.output import counted
from pipeline.run_folder import RunFolderOptions, interrupted
from training.adding.examples import read_new_examples
from training.adding.solving import solve
from training.checkpoint.files import RECORD_FILE, Checkpoint, read_checkpoint
from training.label_changes.changes import ADD, Change, Labels, additions, notes, read_change, read_changes
from training.label_changes.columns import write_changed
from training.label_changes.rows import check_dataset, rewrite_dataset
from training.options import DeviceOptions


@dataclass(frozen=True)
class LabelOptions(DeviceOptions, RunFolderOptions):
    """Which labels change, of which model, and where the changed one is written."""

    change: tuple[str, ...] = option(
        (),
        "rename OLD NEW, move PATH NEW_PARENT, merge FROM INTO, drop PATH, or add PATH and further ones",
        positional=True,
        metavar="CHANGE",
    )
    changes: Path | None = option(
        None, "a file of several such changes, made one after the other: one a line, a tab between words"
    )
    params_path: Path = option("./checkpoint/", "the checkpoint's folder, or its parameter file", in_run="checkpoint")
    output_path: Path = option("./relabelled", "where the changed checkpoint is written", in_run="relabelled")
    dataset_dir: Path | None = option(None, "a dataset folder with the model's labels, to rewrite its rows as well")
    dataset_output_dir: Path | None = option(None, "where the rewritten dataset folder is written")
    examples: Path | None = option(
        None, "rows that show what added labels mean, as train.txt holds them: texts that have them, best 20 of each"
    )
    overwrite: bool = option(False, "replace the dataset that is in --dataset_output_dir")

    def check(self) -> None:
        super().check()
        if bool(self.change) == (self.changes is not None):
            raise InputError("give either one change, such as drop PATH, or a file of them with --changes; not both")
        if (self.dataset_dir is None) != (self.dataset_output_dir is None):
            raise InputError("--dataset_dir is rewritten to --dataset_output_dir; give both, or neither")

    def read(self) -> list[Change]:
        """The changes, in their order; raises InputError where one cannot be read, or lacks what it needs."""
        if self.changes:
            changes = read_changes(self.changes)
        else:
            changes = additions(self.change[1:]) if self.change[0] == ADD else [read_change(self.change)]
        adding = [change.verb == ADD for change in changes]
        if any(adding) and not all(adding):
            raise InputError("labels are added by themselves; make the other changes first, in a step of their own")
        if any(adding) and not (self.examples and self.dataset_dir):
            raise InputError(
                "a label is learnt from rows that have it, held against all others: give --examples, and "
                "--dataset_dir with --dataset_output_dir"
            )
        if self.examples and not any(adding):
            raise InputError("--examples are of labels that are added; name those, as in add PATH, or leave it out")
        return changes


def change_labels(options: LabelOptions) -> Checkpoint:
    """Write a checkpoint with changed labels, and the dataset folder where that is asked for; each atomically.

    Raises:
        InputError: a change cannot be made, the checkpoint or the dataset cannot be used, or an output would replace
            what is read or is something else.
    """
    changes = options.read()
    checkpoint = read_checkpoint(options.params_path)
    check_replaceable(options.output_path, "--output_path", RECORD_FILE, spared=MANIFEST_FILE, inputs=[checkpoint.path])
    labels = Labels(checkpoint.hierarchy)
    labels.apply(changes)
    source, target = options.dataset_dir, options.dataset_output_dir
    examples, added = None, None
    if source and target:
        check_dataset(source, target, options.overwrite, checkpoint.hierarchy)
        if target.resolve() == options.output_path.resolve():
            raise InputError(f"--dataset_output_dir and --output_path are both {target}; give two folders")
        if options.examples:
            new = [change.path for change in changes]
            examples = read_new_examples(options.examples, labels.hierarchy, new, source)
            added, said = solve(checkpoint, examples, source, options.device)
            print(*said, sep="\n")
        written = rewrite_dataset(source, target, changes, examples.rows if examples else ())
        print(written)
        for note in written.notes:
            print(f"note: {note}")
    write_changed(checkpoint, changes, labels, options.output_path, target, added)
    return read_checkpoint(options.output_path)


def parse_args(argv: Sequence[str] | None) -> LabelOptions:
    return parse(LabelOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_args(argv)
    before = read_checkpoint(options.params_path)
    if note := interrupted(before.path):
        print(note, file=sys.stderr)
    after = change_labels(options)
    changes = options.read()
    print(
        f"{counted(len(changes), 'change')} made: {len(before.hierarchy)} labels became {len(after.hierarchy)}, in "
        f"{options.output_path}"
    )
    for note in notes(changes):
        print(note)
    if before.record.metrics and not after.record.metrics:
        print("note: what was measured with the labels of before is left out; evaluate.py measures the new ones")
    if gone := sorted(before.record.data.get(TRAFFIC, {}).keys() - after.record.data.get(TRAFFIC, {}).keys()):
        print(
            f"note: servers no longer hold {' and '.join(gone)} of texts against dev.txt, whose counts are not those "
            "of the new labels; training counts anew"
        )


if __name__ == "__main__":
    run(main)
