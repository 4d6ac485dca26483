"""What was counted on the development set, where it is exactly what would be counted of the changed model."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Optional

from pipeline.labels.decoding import DecodingPolicy
from pipeline.labels.hierarchy import SEPARATOR, ancestor_paths
from pipeline.metrics.sets import LABEL_COUNTS
from pipeline.metrics.traffic import TOP_LABEL, TOP_SCORE, TRAFFIC
from training.checkpoint.files import Checkpoint
from training.label_changes.changes import ADD, RENAME, Change, Labels

Counts = dict[str, list[Optional[int]]]
_AS_A_WHOLE = "single_path"
"""A policy that compares paths as a whole, which change with any label."""


def traffic(checkpoint: Checkpoint, changes: Sequence[Change], labels: Labels) -> dict[str, dict[str, int]]:
    """The counts of development texts that are exactly those of the changed model, too.

    Texts stay as they are. The highest score is the same where all scores are; and so is the surest label of the first
    level, but for its name, where every label stands below the one that it stood below. Policy `single_path` and a
    limit of labels compare paths as a whole, which change with any label that moves.
    """
    old, decoding = checkpoint.hierarchy, checkpoint.record.decoding
    counts = dict(checkpoint.record.data[TRAFFIC])
    if sorted(labels.columns) != list(range(len(old))):
        return {feature: bins for feature, bins in counts.items() if feature not in (TOP_SCORE, TOP_LABEL)}
    names = {old.labels[column]: path for path, column in zip(labels.paths, labels.columns)}
    moved = any(names[_root(path)] != _root(now) for path, now in names.items())
    as_a_whole = decoding.policy == _AS_A_WHOLE or decoding.top_k is not None
    if moved or (as_a_whole and any(change.verb != RENAME for change in changes)):
        counts.pop(TOP_LABEL, None)
    elif TOP_LABEL in counts:
        counts[TOP_LABEL] = {names.get(part, part): texts for part, texts in counts[TOP_LABEL].items()}
    return counts


def _root(path: str) -> str:
    return path.split(SEPARATOR)[0]


def label_counts(checkpoint: Checkpoint, changes: Sequence[Change], labels: Labels) -> Counts:
    """By label its counts, as `pipeline.metrics.sets.Metrics.counts` has them; None where they may be others now.

    Rows have a label where they have one of those that stand at or below it, so that these must be the same ones as
    before. So must those that an answer of it depends on, by the decoding policy.
    """
    counts, decoding = checkpoint.record.data[LABEL_COUNTS], checkpoint.record.decoding
    now, before = (
        _Relatives(dict(zip(paths, columns)))
        for paths, columns in ((labels.paths, labels.columns), (checkpoint.hierarchy.labels, itertools.count()))
    )
    sources = now.sources(labels.destinations, before)
    renamed = all(change.verb == RENAME for change in changes)
    by_label = _by_label(decoding, any(change.verb == ADD for change in changes))
    kept: Counts = {name: [] for name in counts}
    for column in labels.columns:
        same_rows = column in before.below and sources[column] == before.below[column]
        needed = {"ancestors": "below", "top_down": "above"}.get(decoding.policy)
        same_answers = not needed or getattr(now, needed)[column] == getattr(before, needed).get(column)
        for name, values in kept.items():
            same = same_rows and (name == "rows" or renamed or (by_label and same_answers))
            values.append(counts[name][column] if same else None)
    return kept


def _by_label(decoding: DecodingPolicy, adds: bool) -> bool:
    """Whether an answer of a label depends on none but it and those above or below it."""
    if decoding.policy == _AS_A_WHOLE or decoding.at_least_one or decoding.top_k is not None:
        return False
    return decoding.policy != "top_down" or not (decoding.leading or adds)  # labels that lead let others through


class _Relatives:
    """By column, those of the labels at or below it, and of those at or above it."""

    def __init__(self, columns: Mapping[str, int]) -> None:
        self.columns = columns
        self.below: dict[int, set[int]] = {column: set() for column in columns.values()}
        self.above: dict[int, set[int]] = {}
        for path, column in columns.items():
            self.above[column] = {columns[each] for each in (path, *ancestor_paths(path))}
            for each in self.above[column]:
                self.below[each].add(column)

    def sources(self, destinations: Mapping[str, str | None], before: _Relatives) -> dict[int, set[int]]:
        """By column the labels of before, by their columns, whose rows have it."""
        found: dict[int, set[int]] = {column: set() for column in self.below}
        for path, column in before.columns.items():
            if (now := destinations[path]) is not None:
                for each in self.above[self.columns[now]]:
                    found[each].add(column)
        return found
