"""What labels bring along that are added to a model without training: their columns, told by their examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.command import announce
from pipeline.errors import InputError
from pipeline.files.bundle import read_linear
from pipeline.files.dataset import TRAIN_FILE, read_examples
from pipeline.labels.hierarchy import SEPARATOR, LabelHierarchy
from pipeline.output import counted, shortened
from pipeline.text.linear import LINEAR_FILE, LinearPart
from pipeline.text.normalisation import comparable, normalise
from training.adding.examples import LEAST, SURE, NewExamples
from training.adding.few import LEAST_LABELS, LEAST_ROWS, Borrowed, Kind, borrowed
from training.adding.planes import FOLDS, Curve, Plane, curve, discriminant, logit, machine
from training.analysis.evidence.features import load_features
from training.checkpoint.files import Checkpoint
from training.label_changes.columns import Added
from training.linear.features import matrix

MOST_ROWS = 20_000
"""Of the training set that examples are held against; of more, some by lot."""
EXPECTED = 0.5
"""As many rows a new label is expected to have, times those of the median label of its level: it is added late."""
BATCH = 32
SHOWN, SHOWN_CHARACTERS = 3, 40


@dataclass(frozen=True)
class Rest:
    """Rows of the training set that are no example: texts, in which line each stands, and its labels."""

    texts: list[str]
    lines: list[int]
    labels: list[tuple[int, ...]]

    def given(self, hierarchy: LabelHierarchy) -> np.ndarray:
        """bool [rows, labels], of labels without children."""
        childless = np.setdiff1d(np.arange(len(hierarchy)), hierarchy.parents)
        return hierarchy.matrix(self.labels)[:, childless]


@dataclass(frozen=True)
class Fit:
    """A label's planes, of the encoder's features, of the n-grams, or of both; and what makes one logit of them."""

    planes: Sequence[Plane]
    curve: Curve

    def column(self, kind: int) -> np.ndarray:
        """float64 [features + 1]: the weights of a plane and its offset, times its factor."""
        return np.append(self.planes[kind].weights, self.planes[kind].offset) * self.curve.factors[kind]


def solve(checkpoint: Checkpoint, examples: NewExamples, dataset_dir: Path, device: str) -> tuple[Added, list[str]]:
    """The columns of the new labels, and what is to be said of them.

    A new label's logits are such that the median of the model's thresholds is the best one for it, too.

    Raises:
        InputError: there are hardly any training rows to hold the examples against.
        DatasetError: a training row is wrong.
        EnvironmentFault: the machine lacks the device.
    """
    rest = _read_rest(checkpoint, examples, dataset_dir)
    texts, record = examples.texts + rest.texts, checkpoint.record
    given = np.zeros((len(texts), len(examples.new)), bool)
    given[: len(examples.rows)] = examples.given
    kinds: list[Kind] = []
    if record.encoder_weight != 0:
        announce(f"reading {len(texts):,} texts")
        kinds.append((load_features(checkpoint.path, device, None, BATCH)(texts), discriminant))
    part = None
    if record.encoder_weight is not None:
        part = read_linear(checkpoint.path / LINEAR_FILE, len(checkpoint.hierarchy))
        ngrams = matrix(part.tables, part.rarity, [normalise(text, record.normalisation) for text in texts])
        kinds.append((ngrams, machine))
    threshold, fits, said = float(np.median(record.thresholds)), [], []
    known = _known(checkpoint, examples, kinds, rest, threshold)
    for label, own in zip(examples.new, given.T):
        few = known.get(int(own.sum()))
        planes = [make(features, own, held_back=few is None) for features, make in kinds]
        unseen = np.stack([plane.unseen for plane in planes], axis=1)
        told = few.of(planes, own) if few else curve(unseen, own, _expected(checkpoint, label, own), threshold)
        fits.append(Fit(planes, told))
        said += _told(label, told(unseen) - logit(threshold), own, rest, few)
    return _added(fits, part, record.encoder_weight, threshold, examples), said


def _known(
    checkpoint: Checkpoint, examples: NewExamples, kinds: Sequence[Kind], rest: Rest, threshold: float
) -> dict[int, Borrowed]:
    """What known labels tell of those that have fewer than SURE examples, by how many these are.

    Raises:
        InputError: nothing, and a label has fewer than LEAST.
    """
    behind = [(features[len(examples.rows) :], make) for features, make in kinds]
    known: dict[int, Borrowed] = {}
    for label, count in zip(examples.new, examples.given.sum(axis=0).tolist()):
        if count in known or count >= SURE:
            continue
        if told := borrowed(behind, rest.given(checkpoint.hierarchy), count, EXPECTED, threshold):
            known[count] = told
        elif count < LEAST:
            raise InputError(
                f"{label!r} has {counted(count, 'example')}, too few to judge by, and {TRAIN_FILE} has fewer than "
                f"{LEAST_LABELS} labels without children and with {LEAST_ROWS} rows, which would tell what so few are "
                f"worth; write at least {LEAST}"
            )
    return known


def _read_rest(checkpoint: Checkpoint, examples: NewExamples, dataset_dir: Path) -> Rest:
    known = {row.same for row in examples.rows}
    rows = enumerate(read_examples(dataset_dir / TRAIN_FILE, checkpoint.hierarchy), start=1)
    found = [(*example, line) for line, example in rows if comparable(example.text) not in known]
    if len(found) < FOLDS:
        few = counted(len(found), "row")
        raise InputError(f"{dataset_dir / TRAIN_FILE} has {few} beside the examples; give the whole training set")
    if len(found) > MOST_ROWS:
        print(f"note: the examples are held against {MOST_ROWS:,} of {len(found):,} training rows, chosen by lot")
        found = [found[place] for place in np.sort(np.random.default_rng(0).permutation(len(found))[:MOST_ROWS])]
    texts, labels, lines = map(list, zip(*found))
    return Rest(texts, lines, labels)


def _expected(checkpoint: Checkpoint, label: str, given: np.ndarray) -> float:
    """How many of the rows would have a new label; at least as many as are given it."""
    hierarchy, counts = checkpoint.hierarchy, np.array(checkpoint.record.data.get("label_rows", ()))
    like = counts[hierarchy.levels == label.count(SEPARATOR) + 1] if len(counts) == len(hierarchy) else counts[:0]
    return max(EXPECTED * float(np.median(like)) if len(like) else 0.0, float(given.sum()))


def _added(
    fits: list[Fit], part: LinearPart | None, weight: float | None, threshold: float, examples: NewExamples
) -> Added:
    """Columns of the encoder's classifier and of the linear part, which add up to the curves' logits."""
    offsets, column, linear = np.array([fit.curve.offset for fit in fits]), None, None
    if weight != 0:
        column = np.stack([fit.column(0) for fit in fits], axis=1) / (weight or 1.0)
        column[-1] += offsets * (part is None)
        column = column.astype(np.float32)
    if part is not None:
        own = np.stack([fit.column(-1) for fit in fits], axis=1)
        linear = LinearPart(part.tables, part.rarity, own[:-1].astype(np.float16), own[-1] + offsets)
    return Added(column, linear, threshold, tuple(int(count) for count in examples.given.sum(axis=0)))


def _told(label: str, above: np.ndarray, given: np.ndarray, rest: Rest, few: Borrowed | None) -> list[str]:
    """What is known of a new label: how its examples fare unseen, and which rows look like them.

    Args:
        above: float64 [rows], how far each row's logit lies above the threshold's; the rest's are the last ones.
        given: bool [rows], which have the label.
    """
    others = above[len(above) - len(rest.texts) :]
    alike = [row for row in np.argsort(-others, kind="stable") if others[row] >= 0]
    count = counted(int(given.sum()), "example")
    unseen = f"{(above[given] >= 0).sum()} of {count} would be found unseen, and "
    if few:
        unseen = (
            f"by {count}; where to draw the line was told by {few.labels} labels that the model has, which as many of "
            f"their rows let it find with an F1 of {few.f1:.2f} on average; "
        )
    said = [f"{label}: {unseen}{len(alike):,} of {counted(len(others), 'row')} of {TRAIN_FILE} look like it"]
    if alike:
        shown = "; ".join(
            f"line {rest.lines[row]} {shortened(rest.texts[row], SHOWN_CHARACTERS)!r}" for row in alike[:SHOWN]
        )
        said.append(
            f"note: rows of {TRAIN_FILE} that look like {label!r}: {shown}; should they have it, show them, too"
        )
    if given.sum() < SURE:
        said.append(f"note: {label!r} has {count}, which is little; show at least {SURE}, better 20")
    return said
