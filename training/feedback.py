"""Turn what people said of answers on the console's page into a dataset folder to train on.

python training/feedback.py --feedback_file feedback.jsonl --dataset_dir data --save_dir corrected

train.txt gets the corrected texts: a row that is there already gets the labels that people gave, others are added. What
a person said last of a text counts, in whichever file it stands. Where people disagree, nothing is changed and the
texts are listed. Texts of dev.txt and test.txt are left out: the figures on them would be of texts that the model has
seen. In a program:

    from training.feedback import FeedbackOptions, apply
    apply(FeedbackOptions(feedback_file="feedback.jsonl", dataset_dir="data", save_dir="corrected")).notes
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.command import run
from pipeline.errors import InputError
from pipeline.files.dataset import DATA_FILE, LABEL_FILE, TRAIN_FILE, read_examples, read_labels, read_texts
from pipeline.files.feedback import Correction, in_time, read_feedback
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.options import Options, option, parse
from pipeline.output import counted
from pipeline.text.normalisation import comparable
from training.data.dataset_folder import LABELLED_FILES, WrittenDataset, check_target, write_dataset
from training.data.row_collector import Row, single_line

SHOWN = 20


@dataclass(frozen=True)
class FeedbackOptions(Options):
    """What was said, of which dataset, and where the new one goes."""

    dataset_dir: Path = option(help="the dataset folder that the model was trained with")
    feedback_file: tuple[Path, ...] = option(("feedback.jsonl",), "files that the console kept corrections in")
    save_dir: Path = option("corrected", "where the new dataset folder is written")
    agreeing: int = option(1, "people who must say the same of a text", at_least=1)
    overwrite: bool = option(False, "replace a dataset folder at --save_dir")


@dataclass
class Judged:
    """What people said of texts.

    Attributes:
        rows: what they agree on, by what is equal for one text.
        disagreed: texts of which they say different things, with who said what.
        alone, unlabelled, unknown: how many texts too few people spoke of, were called wrong without more, or got
            labels that the dataset does not have.
    """

    rows: dict[str, Row] = field(default_factory=dict)
    disagreed: list[str] = field(default_factory=list)
    alone: int = 0
    unlabelled: int = 0
    unknown: int = 0


@dataclass(frozen=True)
class CorrectedDataset(WrittenDataset):
    """The dataset folder that was written.

    Attributes:
        added, changed: rows that train.txt has got, and texts whose labels there are others now.
    """

    added: int = 0
    changed: int = 0


def apply(options: FeedbackOptions) -> CorrectedDataset:
    """Write the dataset folder with the corrections at `save_dir`, atomically.

    Raises:
        InputError: a file cannot be used; what was at `save_dir` is untouched.
    """
    source = options.dataset_dir
    files = {name: source / name for name in LABELLED_FILES if (source / name).exists()}
    if TRAIN_FILE not in files:
        raise InputError(f"--dataset_dir {source} has no {TRAIN_FILE}; give a dataset folder")
    check_target(options.save_dir, "--save_dir", [*files.values(), *options.feedback_file], options.overwrite)
    hierarchy = read_labels(source / LABEL_FILE)
    rows = {name: _rows(path, hierarchy) for name, path in files.items()}
    broken: list[str] = []
    corrections = (each for path in options.feedback_file for each in read_feedback(path, broken.append))
    judged = judge(corrections, hierarchy, options.agreeing)
    held_out = {row.same for name in rows if name != TRAIN_FILE for row in rows[name]}
    kept = {same: row for same, row in judged.rows.items() if same not in held_out}
    known = {row.same: row for row in rows[TRAIN_FILE]}
    changed = {same for same, row in kept.items() if same in known and row.labels != known[same].labels}
    added = [row for same, row in kept.items() if same not in known]
    merged = [replace(row, labels=kept[row.same].labels) if row.same in changed else row for row in rows[TRAIN_FILE]]
    rows[TRAIN_FILE] = list({(row.same, row.labels): row for row in merged}.values()) + added
    notes = [f"{TRAIN_FILE}: {counted(len(added), 'row')} added; {counted(len(changed), 'text')} got other labels"]
    if broken:
        notes.append(f"{counted(len(broken), 'line')} in pieces passed over, the first of them {broken[0]}")
    notes += _left_out(judged, len(judged.rows) - len(kept))
    texts = list(read_texts(source / DATA_FILE)) if (source / DATA_FILE).exists() else []
    written = write_dataset(options.save_dir, hierarchy, rows, texts, notes)
    return CorrectedDataset(**vars(written), added=len(added), changed=len(changed))


def judge(corrections: Iterable[Correction], hierarchy: LabelHierarchy, agreeing: int = 1) -> Judged:
    """What people agree on; of what a person said of a text the last by its time counts."""
    said: dict[str, dict[str, Correction]] = {}
    for each in in_time(corrections):
        said.setdefault(comparable(single_line(each.text)), {})[each.person] = each
    judged = Judged()
    for same, by_person in said.items():
        given = {who: each.labels for who, each in by_person.items() if each.labels is not None}
        if not given:
            judged.unlabelled += 1
            continue
        if any(label not in hierarchy for labels in given.values() for label in labels):
            judged.unknown += 1
            continue
        sets = {who: _closed(labels, hierarchy) for who, labels in given.items()}
        refused = {_closed(each.answered, hierarchy) for each in by_person.values() if each.labels is None}
        if len(set(sets.values())) > 1 or refused & set(sets.values()):
            text = next(iter(by_person.values())).text
            views = (
                f"{each.who}: {','.join(sorted(sets[who])) if who in sets else 'wrong'}"
                for who, each in by_person.items()
            )
            judged.disagreed.append(f"{text!r:.40}: {'; '.join(views)}")
        elif len(sets) < agreeing:
            judged.alone += 1
        else:
            judged.rows[same] = Row(
                single_line(next(iter(by_person.values())).text), next(iter(sets.values())), 0, None
            )
    return judged


def _closed(labels: Iterable[str], hierarchy: LabelHierarchy) -> frozenset[str]:
    known = [label for label in labels if label in hierarchy]
    return frozenset(hierarchy.labels[position] for position in hierarchy.with_ancestors(known))


def _rows(path: Path, hierarchy: LabelHierarchy) -> list[Row]:
    return [
        Row(text, frozenset(hierarchy.labels[position] for position in positions), 0, None, path)
        for text, positions in read_examples(path, hierarchy)
    ]


def _left_out(judged: Judged, held_out: int) -> list[str]:
    """A sentence for each thing that was said and not taken."""
    said = {
        "of dev.txt or test.txt": held_out,
        "called wrong without saying what is right": judged.unlabelled,
        "with labels that label.txt does not list": judged.unknown,
        "judged by fewer people than --agreeing": judged.alone,
        "judged in different ways": len(judged.disagreed),
    }
    notes = [f"{counted(count, 'text')} {what}: left out" for what, count in said.items() if count]
    return notes + judged.disagreed[:SHOWN]


def parse_args(argv: Sequence[str] | None) -> FeedbackOptions:
    return parse(FeedbackOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    apply(parse_args(argv)).tell()


if __name__ == "__main__":
    run(main)
