"""Graphs: a list of label paths and edges beside it become nodes, each with all its parents.

An edge (parent, child) of two listed paths says that the child lies below that parent, too: the parent's path, `##`
and the child's name are another way down to it. Where the list has that way as a path, both paths are one node from
then on, and so are those below them that have one name. What merely has the same name elsewhere stays another node.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.errors import InputError

SEPARATOR = "##"
Edge = tuple[str, str]


class EdgeFault(InputError):
    """An edge that cannot be used.

    Attributes:
        edge: which one.
        reason: what is wrong with it.
    """

    def __init__(self, edge: Edge, reason: str) -> None:
        self.edge, self.reason = edge, reason
        super().__init__(f"edge from {edge[0]!r} to {edge[1]!r}: {reason}")


class Nodes(NamedTuple):
    """The nodes of a graph, in the order in which the list names them first.

    Attributes:
        paths: per node first one of its first parent's first path and its own name, so that those alone form a forest;
            then the listed ones.
        parents: per node its parents, that of its first path first.
        levels: per node, 1 at the top, else one more than the deepest of its parents has.
        children: a node by its parent, -1 at the top, and its name.
    """

    paths: list[list[str]]
    parents: list[tuple[int, ...]]
    levels: list[int]
    children: dict[tuple[int, str], int]


def nodes_of(paths: Sequence[str], edges: Sequence[Edge]) -> Nodes:
    """The nodes of a closed list of label paths and edges between them.

    Raises:
        EdgeFault: an edge names no listed path, says what the child's path says, or lets a node lie below itself.
    """
    united = _United(paths)
    for edge in edges:
        united.add(edge)
    owners = sorted({united.owner(place) for place in range(len(paths))})
    column_of = {owner: column for column, owner in enumerate(owners)}
    column = {path: column_of[united.owner(place)] for place, path in enumerate(paths)}
    above: list[dict[int, None]] = [{} for _ in owners]  # in order, each once
    children: dict[tuple[int, str], int] = {}
    heads = [path.rpartition(SEPARATOR) for path in paths]
    pairs = [(column[head] if head else -1, column[path]) for path, (head, _, _) in zip(paths, heads)]
    for parent, child in (*pairs, *((column[parent], column[child]) for parent, child in edges)):
        if parent >= 0:
            above[child][parent] = None
    parents = [tuple(each) for each in above]
    order, levels = from_the_top(parents)
    if len(order) < len(parents):
        way = circle(parents, set(range(len(parents))).difference(order))
        said = " > ".join(repr(paths[owners[node]]) for node in way)
        steps = set(zip(way, way[1:]))
        closing = [edge for edge in edges if (column[edge[0]], column[edge[1]]) in steps]
        raise EdgeFault((closing or list(edges))[-1], f"it closes a circle, {said}; a label cannot lie below itself")
    own_names = [heads[owner][2] for owner in owners]
    for parent, child in pairs:
        children[parent, own_names[child]] = child
    for child, each in enumerate(parents):
        children.update(((parent, own_names[child]), child) for parent in each)
    names = list(own_names)
    for node in order:
        if heads[owners[node]][0]:
            names[node] = f"{names[parents[node][0]]}{SEPARATOR}{own_names[node]}"
    shown = [{name: None} for name in names]
    for path, node in column.items():
        shown[node][path] = None
    return Nodes(list(map(list, shown)), parents, levels, children)


def by_level(
    children: np.ndarray, parents: np.ndarray, ranks: np.ndarray, levels: np.ndarray
) -> tuple[list[tuple[np.ndarray, np.ndarray]], list[tuple[np.ndarray, np.ndarray]]]:
    """Pairs of labels and parents in the order in which values go up from children, and down to them.

    Args:
        children, parents, ranks: int [pairs]; the rank numbers the parents of one label from 0.
        levels: int [labels], from 1.

    Returns:
        Children and their parents twice, level by level: sorted by parent; and so that no child stands twice in one, of
        rank 0, of rank 1, and so on.
    """
    upwards, downwards = [], []
    of_pairs = levels[children]
    for level in range(2, int(levels.max()) + 1):
        here = np.flatnonzero(of_pairs == level)
        here = here[np.argsort(parents[here], kind="stable")]
        upwards.append((children[here], parents[here]))
        for rank in range(int(ranks[here].max()) + 1):
            ranked = here[ranks[here] == rank]
            downwards.append((children[ranked], parents[ranked]))
    return upwards, downwards


def active(values: np.ndarray) -> np.ndarray:
    """bool [labels]: which have in any row of `values` [batch, labels], bool or float, more than the least of all."""
    lowest = values.min() if values.size else values.dtype.type(0)
    return np.maximum.reduce(values, axis=0, initial=lowest) > lowest


def among(some: np.ndarray, pairs: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Those of the children and their parents, int [pairs] each, whose child is in `some`, bool [labels]."""
    here = some[pairs[0]]
    return pairs[0][here], pairs[1][here]


def runs(ascending: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of an ascending array, each once, and where it begins."""
    first = np.ones(len(ascending), bool)
    np.not_equal(ascending[1:], ascending[:-1], out=first[1:])
    starts = np.flatnonzero(first)
    return ascending[starts], starts


class _United:
    """Which listed paths are one node, while edges are added."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths
        self._place = {path: place for place, path in enumerate(paths)}
        self._owners = list(range(len(paths)))
        self._children: list[dict[str, int]] = [{} for _ in paths]
        for place, path in enumerate(paths):
            head, _, name = path.rpartition(SEPARATOR)
            if head:
                self._children[self._place[head]][name] = place

    def owner(self, place: int) -> int:
        """The first path that is the same node."""
        while (owner := self._owners[place]) != place:
            self._owners[place] = place = self._owners[owner]
        return place

    def add(self, edge: Edge) -> None:
        for path in edge:
            if path not in self._place:
                raise EdgeFault(edge, f"unknown label {path!r}; both ends are paths of the label file")
        parent, child = (self.owner(self._place[path]) for path in edge)
        name = edge[1].rpartition(SEPARATOR)[2]
        if parent == child:
            raise EdgeFault(edge, "a label cannot lie below itself; take the edge out")
        if edge[1] == SEPARATOR.join((edge[0], name)):
            raise EdgeFault(edge, f"{edge[1]!r} lies below {edge[0]!r} by its own path; take the edge out")
        waiting = [(self._children[parent].setdefault(name, child), child)]
        while waiting:
            first, second = sorted(map(self.owner, waiting.pop()))
            if first == second:
                continue
            self._owners[second] = first
            for name, child in self._children[second].items():
                waiting.append((self._children[first].setdefault(name, child), child))


def from_the_top(parents: Sequence[tuple[int, ...]]) -> tuple[list[int], list[int]]:
    """Nodes so that none stands before a parent, but for those below a circle, and the level of each."""
    children: list[list[int]] = [[] for _ in parents]
    for node, each in enumerate(parents):
        for parent in each:
            children[parent].append(node)
    waiting, levels = [len(each) for each in parents], [1] * len(parents)
    order = [node for node, each in enumerate(parents) if not each]
    for node in order:
        for child in children[node]:
            levels[child] = max(levels[child], levels[node] + 1)
            waiting[child] -= 1
            if not waiting[child]:
                order.append(child)
    return order, levels


def circle(parents: Sequence[tuple[int, ...]], left: set[int]) -> list[int]:
    """A way down that ends where it begins, among nodes of which each has a parent among them."""
    way = [min(left)]
    while way.index(way[-1]) == len(way) - 1:
        way.append(next(parent for parent in parents[way[-1]] if parent in left))
    return way[way.index(way[-1]) :][::-1]
