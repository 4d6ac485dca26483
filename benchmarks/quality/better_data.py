"""Whether the commands that improve training data do: the optimisation guide's experiments, on a real dataset.

    python -m benchmarks.quality.better_data dirty --dataset_dir data --output_file better_data_dirty.json
    python -m benchmarks.quality.better_data sparse --dataset_dir data --output_file better_data_sparse.json
    python -m benchmarks.quality.better_data augment --dataset_dir data --output_file better_data_augment.json

dirty: of 2,000 training rows 200 get a wrong label, in each of them one of the deepest labels is replaced by a random
other one; found, corrected, trained again. sparse: 700 rows, and 100 more, chosen by sparse.py --annotate or at
random, with the labels that the dataset has for them. augment: 2,000 rows and twice as many made from them.

Each variant is trained by train.py and by the linear baseline, chosen on dev.txt and measured on test.txt. What is
measured is written at once, so that the same command goes on where it was interrupted.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from typing import Any, Callable

import numpy as np

from benchmarks.quality.data_experiment import Experiment, ExperimentOptions, run_script
from benchmarks.records import read_record, write_record
from pipeline.command import run
from pipeline.errors import InputError
from pipeline.files.dataset import TRAIN_FILE, Example, write_texts
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.options import parse

SPOILT_ROWS = 200
ADDED_ROWS = 100
STRATEGIES = ("substitute", "insert", "delete", "swap", "mix")


def dirty(experiment: Experiment) -> None:
    """Spoil labels, find them, have them corrected, and train on each state of the rows."""
    gold = experiment.rows
    spoilt = spoil(gold, experiment.hierarchy, experiment.seed)
    wrong = {text for (text, labels), (_, right) in zip(spoilt, gold) if labels != right}
    experiment.write(TRAIN_FILE, spoilt)
    experiment.write("gold.txt", gold)
    right = dict(gold)
    found = experiment.results.setdefault("found", {})
    short = experiment.options.short_epochs
    for method, options in (
        (
            "representer",
            (
                *("--params_path", experiment.folder / "short", "--device", experiment.options.device),
                *("--max_seq_length", experiment.options.max_seq_length),
            ),
        ),
        ("confident", ()),
    ):
        if method == "representer" and method not in found:
            experiment.train("short", TRAIN_FILE, short)
        if method not in found or method == "confident":
            run_script(
                "training/analysis/dirty.py",
                *("--dataset_dir", experiment.folder, "--dirty_num", SPOILT_ROWS, "--method", method, *options),
            )
            flagged = [example.text in wrong for example in experiment.read("train_dirty.txt")]
            found[method] = {
                f"{measure}_at_{count}": round(sum(flagged[:count]) / total, 4)
                for count in (SPOILT_ROWS // 2, SPOILT_ROWS)
                for measure, total in (("precision", count), ("recall", SPOILT_ROWS))
            }
            experiment.save()
    print(f"seed {experiment.seed}, found: {json.dumps(found)}", flush=True)
    flagged_rows, rest = experiment.read("train_dirty.txt"), experiment.read("train_dirty_rest.txt")
    experiment.write("corrected.txt", rest + [Example(text, right[text]) for text, _ in flagged_rows])
    review = (experiment.folder / "train_dirty.jsonl").read_text(encoding="utf-8").splitlines()
    suggested = [
        Example(record["text"], tuple(sorted(experiment.hierarchy.with_ancestors(record["label"]))))
        for record in map(json.loads, review)
    ]
    experiment.write("suggested.txt", rest + suggested)
    experiment.measure("spoilt", TRAIN_FILE)
    experiment.measure("corrected", "corrected.txt")
    experiment.measure("clean", "gold.txt")
    experiment.measure("suggested labels unchecked", "suggested.txt")
    experiment.measure("flagged rows left out", "train_dirty_rest.txt")


def spoil(rows: Sequence[Example], hierarchy: LabelHierarchy, seed: int) -> list[Example]:
    """The rows, but in SPOILT_ROWS of them one of the deepest labels is replaced by a random other one."""
    random = np.random.default_rng((seed, 1))
    leaves = hierarchy.deepest(range(len(hierarchy)))
    spoilt = list(rows)
    for row in random.choice(len(rows), SPOILT_ROWS, replace=False).tolist():
        own = hierarchy.deepest(rows[row].labels)
        others = [label for label in leaves if label not in rows[row].labels]
        own[int(random.integers(len(own)))] = int(random.choice(others))
        spoilt[row] = Example(
            rows[row].text, tuple(sorted(hierarchy.with_ancestors(map(hierarchy.labels.__getitem__, own))))
        )
    return spoilt


def sparse(experiment: Experiment) -> None:
    """Have rows annotated that sparse.py chooses, or rows that chance chooses."""
    experiment.write(TRAIN_FILE, experiment.rows)
    gold = dict(experiment.others)
    write_texts(experiment.folder / "pool.txt", gold)
    experiment.measure("700 rows", TRAIN_FILE)
    checkpoint = experiment.train("700 rows", TRAIN_FILE, experiment.options.epochs)
    run_script(
        "training/analysis/sparse.py",
        *("--device", experiment.options.device, "--dataset_dir", experiment.folder, "--annotate"),
        *("--params_path", checkpoint, "--unlabeled_file", "pool.txt"),
        *("--valid_num", ADDED_ROWS),
    )
    chosen = (experiment.folder / "valid.txt").read_text(encoding="utf-8").splitlines()
    experiment.write("annotated.txt", experiment.rows + [Example(text, gold[text]) for text in chosen])
    experiment.measure("100 chosen rows", "annotated.txt")
    experiment.write("random.txt", experiment.rows + experiment.others[:ADDED_ROWS])
    experiment.measure("100 random rows", "random.txt")


def augment(experiment: Experiment) -> None:
    """Train on the rows alone, on each of them three times, and with the new rows of each strategy."""
    experiment.write(TRAIN_FILE, experiment.rows)
    experiment.measure("2000 rows", TRAIN_FILE)
    experiment.write("repeated.txt", 3 * experiment.rows)  # as many steps as with new rows
    experiment.measure("each row three times", "repeated.txt")
    for aug_type, strategy in [*(("synonym", strategy) for strategy in STRATEGIES), ("homonym", "substitute")]:
        name = f"{strategy} {aug_type}" if strategy in ("substitute", "insert") else strategy
        made = experiment.folder / "aug.txt"
        run_script(
            "training/analysis/aug.py",
            *("--train_path", experiment.folder / TRAIN_FILE, "--aug_path", made, "--aug_strategy", strategy),
            *("--aug_type", aug_type, "--seed", experiment.seed),
        )
        train_file = f"train_{name.replace(' ', '_')}.txt"
        experiment.write(train_file, experiment.rows + experiment.read(made.name))
        experiment.measure(name, train_file)


EXPERIMENTS: dict[str, Callable[[Experiment], None]] = {"dirty": dirty, "sparse": sparse, "augment": augment}


def means(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The mean of every number over runs of like form, as far as all runs have it."""
    shared = {}
    for name, value in runs[0].items():
        values = [run.get(name) for run in runs]
        if None not in values:
            shared[name] = means(values) if isinstance(value, dict) else round(statistics.mean(values), 4)  # type: ignore[arg-type, type-var]
    return shared


def measure(options: ExperimentOptions) -> dict[str, Any]:
    """The record of all seeds and their means, which is written to `output_file` after each step.

    Raises:
        InputError: the dataset cannot be used, or `output_file` holds what was measured with other options.
        ClassifierError: a command fails.
    """
    found = read_record(options.output_file) if options.output_file.exists() else {"runs": {}}
    if found.setdefault("options", options.described()) != options.described():
        raise InputError(f"{options.output_file} was measured with other options; give another --output_file")

    def save() -> None:
        found["means"] = means(list(found["runs"].values()))
        write_record(options.output_file, found)

    for seed in options.seeds:
        results = found["runs"].setdefault(f"seed {seed}", {})
        EXPERIMENTS[options.experiment](Experiment(options, seed, results, save))
    return found


def parse_args(argv: Sequence[str] | None) -> ExperimentOptions:
    return parse(ExperimentOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    print(json.dumps(measure(parse_args(argv))["means"], ensure_ascii=False))


if __name__ == "__main__":
    run(main)
