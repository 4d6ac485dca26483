"""The label hierarchy: an ordered list of label paths and who is whose parent.

A label path is a node together with the way down to it, its segments joined by `##`. Every path but a root's has
exactly one parent path, so a list of paths alone forms a forest, in which each path is a node and a label. With edges
beside it (`pipeline.labels.graph`) it forms a directed acyclic graph: a node with several parents is one label, by
whatever paths the list has it.

A `#` that touches the separator is refused: `话题###元旦` could be `话题` and `#元旦`, or `话题#` and `元旦`.
So are two labels that nobody can tell apart. Files hold labels in any Unicode form; they are read in NFC.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from pipeline.errors import InputError
from pipeline.labels.graph import SEPARATOR, Edge, active, among, by_level, nodes_of, runs

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


def _check(paths: Sequence[str], position: Mapping[str, int]) -> None:
    if not paths:
        raise InputError("there are no labels; a hierarchy needs at least one label path")
    for path in paths:
        fault = path_fault(path)
        if fault:
            raise InputError(fault)
        parent = parent_path(path)
        if parent is not None and parent not in position:
            raise InputError(f"label {path!r} has no parent: add {parent!r} to the labels")
    if len(position) != len(paths):
        repeated = next(path for place, path in enumerate(paths) if position[path] != place)
        raise InputError(f"label {repeated!r} is listed twice")
    first: dict[str, str] = {}
    for path in paths:
        alike = first.setdefault(as_seen(path), path)
        if alike != path:
            raise InputError(
                f"label {spelt(path)} looks like {spelt(alike)} and is another one; write both alike in every "
                "file, or rename one"
            )


class LabelHierarchy:
    """An ordered, closed set of labels, each a node of a forest or, with edges, of a directed acyclic graph.

    Args:
        paths: the label paths; a path's position, or that of the first path of its node, is its order among the labels.
        edges: further parents, (parent, child) by listed paths; see `pipeline.labels.graph`.

    Attributes:
        labels: tuple of str, [labels], a path of each node; its position is its column in logits and thresholds.
        paths: tuple of str, all that answers show, those of one node beside each other; of a forest the labels.
        path_columns: int [paths], the node of each path.
        edges: the further parents, as they were given.
        index: dict from path to position.
        parents: int32 [labels], each label's parent, of several the first; -1 for those without.
        pairs: two of int [pairs]: every label that has a parent, with that parent; with each of several once.
        levels: int32 [labels], 1 for those without a parent, else one more than its deepest parent's.
        depth: the deepest level.
        path_array: object [paths] of str, the paths for indexing with arrays.

    Raises:
        InputError: no labels, a malformed or repeated path, one without its parent, two that look alike, or an edge
            that cannot be used.
    """

    def __init__(self, paths: Iterable[str], edges: Iterable[Edge] = ()) -> None:
        listed = tuple(paths)
        self.edges: tuple[Edge, ...] = tuple(edges)
        position = {path: place for place, path in enumerate(listed)}
        _check(listed, position)
        self._further: dict[int, tuple[int, ...]] = {}
        self._below: dict[tuple[int, str], int] = {}
        if self.edges:
            self._take_nodes(listed)
        else:
            self.labels: tuple[str, ...] = listed
            self.paths: tuple[str, ...] = listed
            self.path_columns = np.arange(len(listed))
            parents = [parent_path(path) for path in listed]
            self.parents = np.array([-1 if p is None else position[p] for p in parents], np.int32)
            self.levels = np.array([path.count(SEPARATOR) + 1 for path in listed], np.int32)
        self.index = dict(zip(self.paths, self.path_columns.tolist()))
        self.path_array = np.array(self.paths, object)
        self.depth = int(self.levels.max())
        self._take_pairs()

    def _take_nodes(self, listed: tuple[str, ...]) -> None:
        nodes = nodes_of(listed, self.edges)
        self.labels = tuple(each[0] for each in nodes.paths)
        self.paths = tuple(path for each in nodes.paths for path in each)
        self.path_columns = np.repeat(np.arange(len(nodes.paths)), list(map(len, nodes.paths)))
        self.parents = np.array([each[0] if each else -1 for each in nodes.parents], np.int32)
        self.levels = np.array(nodes.levels, np.int32)
        self._further = {column: each[1:] for column, each in enumerate(nodes.parents) if len(each) > 1}
        self._below = nodes.children

    def _take_pairs(self) -> None:
        children = np.flatnonzero(self.parents >= 0)
        parents, ranks = self.parents[children], np.zeros(len(children), np.int32)
        if self._further:
            more = [(child, p, rank) for child, each in self._further.items() for rank, p in enumerate(each, start=1)]
            further = np.array(more, np.int32).T
            children, parents, ranks = (np.concatenate(both) for both in zip((children, parents, ranks), further))
        self.pairs = children, parents
        self._upwards, self._downwards = by_level(children, parents, ranks, self.levels)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def is_graph(self) -> bool:
        """Whether there are edges beside the paths, so that a label may have several parents."""
        return bool(self.edges)

    def find(self, path: str) -> int | None:
        """The position of the label that `path` leads to, in a graph by any way down; None where it leads nowhere."""
        if not self._below or path in self.index:
            return self.index.get(path)
        position = -1
        for name in path.split(SEPARATOR):
            if (position := self._below.get((position, name), -1)) < 0:
                return None
        return position

    def __contains__(self, path: str) -> bool:
        return self.find(path) is not None

    def parents_of(self, position: int) -> tuple[int, ...]:
        """Positions of all parents of a label; none at the top."""
        first = int(self.parents[position])
        return () if first < 0 else (first, *self._further.get(position, ()))

    def with_ancestors(self, paths: Iterable[str]) -> set[int]:
        """Positions of the labels that the given paths lead to, and of all their ancestors.

        Raises:
            InputError: a path is not in the hierarchy.
        """
        positions: set[int] = set()
        for path in paths:
            if (found := self.find(path)) is None:
                raise InputError(f"unknown label {path!r}")
            waiting = [found]
            while waiting:
                position = waiting.pop()
                while position >= 0 and position not in positions:
                    positions.add(position)
                    waiting += self._further.get(position, ())
                    position = int(self.parents[position])
        return positions

    def deepest(self, positions: Iterable[int]) -> list[int]:
        """Those of the given label positions that are no parent of another one, in their order."""
        positions = list(positions)
        parents = {parent for position in positions for parent in self.parents_of(position)}
        return [position for position in positions if position not in parents]

    def raise_ancestors(self, values: np.ndarray) -> np.ndarray:
        """Copy of `values` [batch, labels] in which no ancestor lies below a descendant (bool or float)."""
        raised, some = values.copy(), active(values)
        for pairs in reversed(self._upwards):
            children, parents = among(some, pairs)
            above, starts = runs(parents)
            if len(children):  # the least value raises none: that of most labels, in most batches
                some[above] = True
                highest = np.maximum.reduceat(raised[:, children], starts, axis=1)
                raised[:, above] = np.maximum(raised[:, above], highest)
        return raised

    def cap_descendants(self, values: np.ndarray) -> np.ndarray:
        """Copy of `values` [batch, labels] in which no descendant lies above an ancestor (bool or float)."""
        capped, some = values.copy(), active(values)
        for pairs in self._downwards:
            children, parents = among(some, pairs)
            capped[:, children] = np.minimum(capped[:, children], capped[:, parents])
        return capped

    def with_descendants(self, selected: np.ndarray) -> np.ndarray:
        """bool [batch, labels]: `selected` [batch, labels] and all below it."""
        selected = selected.copy()
        for children, parents in self._downwards:
            selected[:, children] |= selected[:, parents]
        return selected

    def path_means(self, values: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """float [batch, columns]: the mean of `values` [batch, labels] over a label and all its ancestors, each once.

        Args:
            columns: int [columns], the labels for which it is asked.
        """
        if not self.is_graph:
            sums = values.copy()
            for children, parents in self._downwards:
                sums[:, children] += sums[:, parents]
            return sums[:, columns] / self.levels[columns]
        means = np.empty((len(values), len(columns)))
        for place, column in enumerate(columns):
            whole = sorted(self.with_ancestors([self.labels[column]]))
            means[:, place] = values[:, whole].mean(axis=1, dtype=np.float64)
        return means

    def has_child_in(self, selected: np.ndarray) -> np.ndarray:
        """bool [batch, labels]: whether a direct child of the label is in `selected` [batch, labels]."""
        found, some = np.zeros_like(selected), selected.any(axis=0)
        for pairs in self._upwards:
            children, parents = among(some, pairs)
            above, starts = runs(parents)
            if len(children):
                found[:, above] |= np.logical_or.reduceat(selected[:, children], starts, axis=1)
        return found

    def consistent_rows(self, selected: np.ndarray) -> np.ndarray:
        """bool [batch]: rows of `selected` [batch, labels] in which every label's ancestors are selected too."""
        children, parents = self.pairs
        orphans = selected[:, children] & ~selected[:, parents]
        return ~orphans.any(axis=1)

    def matrix(self, rows: Sequence[Iterable[int]]) -> np.ndarray:
        """bool [len(rows), labels] from the label positions of each row."""
        selected = np.zeros((len(rows), len(self)), bool)
        for row, positions in enumerate(rows):
            selected[row, list(positions)] = True
        return selected
