"""The label hierarchy: an ordered list of label paths and who is whose parent.

A label path is a node together with the way down to it, its segments joined by `##`. Every path but a root's has
exactly one parent path, so a list of paths always forms a forest. A hierarchy that is a directed acyclic graph
fits in as it is: a node with several parents stands in the list once per way down to it, each a label of its own.

A `#` that touches the separator is refused: `话题###元旦` could be `话题` and `#元旦`, or `话题#` and `元旦`.
So are two labels that nobody can tell apart. Files hold labels in any Unicode form; they are read in NFC.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from pipeline.errors import InputError

SEPARATOR = "##"

CONTROL_CHARACTERS = re.compile("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""What a terminal would obey, turning the direction of writing among it; no label has one."""
_IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Letters and marks that show nothing by themselves (Unicode's Default_Ignorable_Code_Point outside category C)."""


def parent_path(path: str) -> str | None:
    """The path one level up, or None for a root: `人生##死亡` -> `人生`."""
    head, separator, _ = path.rpartition(SEPARATOR)
    return head if separator else None


def ancestor_paths(path: str) -> Iterator[str]:
    """The path's ancestors, nearest first, itself left out."""
    parent = parent_path(path)
    while parent is not None:
        yield parent
        parent = parent_path(parent)


def composed(path: str) -> str:
    """`path` in NFC, in which labels are compared: é is one letter, however it was typed."""
    return unicodedata.normalize("NFC", path)


def as_seen(path: str) -> str:
    """What is equal for label paths that look the same: composed, without invisible characters, white space alike."""
    path = composed(path)
    if path.isascii() and path.isprintable() and "  " not in path:
        return path
    seen = (char for char in _IGNORABLE.sub("", path) if char.isspace() or unicodedata.category(char)[0] != "C")
    return " ".join("".join(seen).split())


def spelt(path: str) -> str:
    """`path` in quotes, with all that cannot be seen by itself as an escape."""
    return "".join(
        f"\\u{ord(char):04x}" if unicodedata.category(char)[0] == "M" or _IGNORABLE.match(char) else char
        for char in repr(path)
    )


def path_fault(path: str) -> str | None:
    """What makes `path` unusable as a label path, or None if nothing does."""
    return next(_faults(path), None)


def _faults(path: str) -> Iterator[str]:
    if not path:
        yield "the label is empty"
    for character in CONTROL_CHARACTERS.findall(path):
        yield f"label {path!r} contains the control character U+{ord(character):04X}; take it out"
    segments = path.split(SEPARATOR)
    if any(not segment.strip() for segment in segments):
        yield f"label {path!r} has an empty segment beside {SEPARATOR!r}"
    elif not all(map(as_seen, segments)):
        yield f"label {path!r} has a segment of invisible characters; give it a name"
    if SEPARATOR + SEPARATOR[0] in path:
        yield (
            f"label {path!r} has a {SEPARATOR[0]!r} beside {SEPARATOR!r}, so that it can be read in two ways; write "
            "that sign in another form, such as ＃"
        )
    if any(segment != segment.strip() for segment in segments):
        clean = SEPARATOR.join(segment.strip() for segment in segments)
        yield f"label {path!r} has white space at the end of a segment; write {clean!r}, in every file"
    if path.endswith("\\") or "\\," in path:
        yield f"label {path!r} has a backslash at its end or before a comma, which dataset files cannot hold; rename it"


class LabelHierarchy:
    """An ordered, closed set of label paths.

    Attributes:
        labels: tuple of str, [labels]; the position of a path in it is its column in logits and thresholds.
        index: dict from path to position.
        parents: int32 [labels], the position of each label's parent, -1 for roots.
        levels: int32 [labels], 1 for roots.
        depth: the deepest level.
        label_array: object [labels] of str, the labels for indexing with arrays.

    Raises:
        InputError: no labels, a malformed or repeated path, a path whose parent is not in the list, or two that look
            alike.
    """

    def __init__(self, labels: Iterable[str]) -> None:
        self.labels: tuple[str, ...] = tuple(labels)
        self.index = {path: position for position, path in enumerate(self.labels)}
        self.label_array = np.array(self.labels, object)
        self._check()
        parents = [parent_path(path) for path in self.labels]
        self.parents = np.array([-1 if p is None else self.index[p] for p in parents], np.int32)
        self.levels = np.array([path.count(SEPARATOR) + 1 for path in self.labels], np.int32)
        self.depth = int(self.levels.max())
        # Per level below the first: its labels sorted by parent, those parents once, and where each one's run starts.
        self._by_level: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        for level in range(2, self.depth + 1):
            children = np.flatnonzero(self.levels == level)
            children = children[np.argsort(self.parents[children], kind="stable")]
            above, starts = np.unique(self.parents[children], return_index=True)
            self._by_level.append((children, above, starts))

    def _check(self) -> None:
        if not self.labels:
            raise InputError("there are no labels; a hierarchy needs at least one label path")
        for path in self.labels:
            fault = path_fault(path)
            if fault:
                raise InputError(fault)
            parent = parent_path(path)
            if parent is not None and parent not in self.index:
                raise InputError(f"label {path!r} has no parent: add {parent!r} to the labels")
        if len(self.index) != len(self.labels):
            repeated = next(path for i, path in enumerate(self.labels) if self.index[path] != i)
            raise InputError(f"label {repeated!r} is listed twice")
        first: dict[str, str] = {}
        for path in self.labels:
            alike = first.setdefault(as_seen(path), path)
            if alike != path:
                raise InputError(
                    f"label {spelt(path)} looks like {spelt(alike)} and is another one; write both alike in every "
                    "file, or rename one"
                )

    def __len__(self) -> int:
        return len(self.labels)

    def with_ancestors(self, paths: Iterable[str]) -> set[int]:
        """Positions of the given label paths and of all their ancestors.

        Raises:
            InputError: a path is not in the hierarchy.
        """
        positions: set[int] = set()
        for path in paths:
            if path not in self.index:
                raise InputError(f"unknown label {path!r}")
            position = self.index[path]
            while position >= 0 and position not in positions:
                positions.add(position)
                position = int(self.parents[position])
        return positions

    def deepest(self, positions: Iterable[int]) -> list[int]:
        """Those of the given label positions that are no parent of another one, in their order."""
        positions = list(positions)
        parents = {int(self.parents[position]) for position in positions}
        return [position for position in positions if position not in parents]

    def raise_ancestors(self, values: np.ndarray) -> np.ndarray:
        """Copy of `values` [batch, labels] in which no ancestor lies below a descendant (bool or float)."""
        raised = values.copy()
        for children, above, starts in reversed(self._by_level):
            highest = np.maximum.reduceat(raised[:, children], starts, axis=1)
            raised[:, above] = np.maximum(raised[:, above], highest)
        return raised

    def cap_descendants(self, values: np.ndarray) -> np.ndarray:
        """Copy of `values` [batch, labels] in which no descendant lies above an ancestor (bool or float)."""
        capped = values.copy()
        for children, _, _ in self._by_level:
            capped[:, children] = np.minimum(capped[:, children], capped[:, self.parents[children]])
        return capped

    def path_sums(self, values: np.ndarray) -> np.ndarray:
        """For each label the sum of `values` [batch, labels] over itself and its ancestors."""
        sums = values.copy()
        for children, _, _ in self._by_level:
            sums[:, children] += sums[:, self.parents[children]]
        return sums

    def has_child_in(self, selected: np.ndarray) -> np.ndarray:
        """bool [batch, labels]: whether a direct child of the label is in `selected` [batch, labels]."""
        found = np.zeros_like(selected)
        for children, above, starts in self._by_level:
            found[:, above] = np.logical_or.reduceat(selected[:, children], starts, axis=1)
        return found

    def consistent_rows(self, selected: np.ndarray) -> np.ndarray:
        """bool [batch]: rows of `selected` [batch, labels] in which every label's ancestors are selected too."""
        children = np.flatnonzero(self.parents >= 0)
        orphans = selected[:, children] & ~selected[:, self.parents[children]]
        return ~orphans.any(axis=1)

    def matrix(self, rows: Sequence[Iterable[int]]) -> np.ndarray:
        """bool [len(rows), labels] from the label positions of each row."""
        selected = np.zeros((len(rows), len(self)), bool)
        for row, positions in enumerate(rows):
            selected[row, list(positions)] = True
        return selected
