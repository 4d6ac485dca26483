"""A graph as other programs write it: a parent, a tab and a child on each line, and names of the nodes beside it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.errors import DatasetError, InputError
from pipeline.files.lines import read_lines
from pipeline.labels.graph import circle, from_the_top
from pipeline.labels.hierarchy import SEPARATOR, LabelHierarchy, composed
from training.data.label_names import path_of

MOST_PATHS = 100_000
"""Of all labels together, where each is listed by every way down to it."""


class EdgeList:
    """The nodes of a graph, and their label paths.

    Args:
        edges_path: the edges, a parent, a tab and a child a line; a node is written as one word each time, its id.
        names_path: what nodes are called, an id, a tab and a name a line; None where the ids are names.

    Attributes:
        repeated: edges that the file has more than once.

    Raises:
        InputError: a file is missing.
        DatasetError: a line is no edge or no name, edges lead round in a circle, or two nodes of one name have a parent
            in common.
    """

    def __init__(self, edges_path: Path, names_path: Path | None = None) -> None:
        self._path, self.repeated = edges_path, 0
        self._names: dict[str, str] = {}
        for number, node, name in _pairs(names_path, "an id, a tab, and a name") if names_path else ():
            if node in self._names:
                raise DatasetError(names_path, number, f"node {node!r} has a name already; take one out")
            self._names[node] = _name(names_path, number, name)
        above: dict[str, dict[str, int]] = {node: {} for node in self._names}
        for number, *ends in _pairs(edges_path, "a parent, a tab, and a child"):
            parent, child = ends
            for node in ends:
                above.setdefault(node, {})
                if node not in self._names:
                    self._names[node] = _name(edges_path, number, node)
            self.repeated += parent in above[child]
            above[child].setdefault(parent, number)
        if not any(above.values()):
            raise DatasetError(edges_path, None, "it has no edge; write a parent, a tab, and a child a line")
        self._nodes = list(above)
        self._parents = {node: list(each) for node, each in above.items()}
        self._order = self._sorted(above)
        self._paths = self._shortest(above)
        self._by_name: dict[str, list[str]] = {}
        for node, name in self._names.items():
            self._by_name.setdefault(name, []).append(node)
        self._node_of = {path: node for node, path in self._paths.items()}

    def paths(self, words: Iterable[str]) -> list[str]:
        """The label paths of the nodes that have these ids, or names, but for those above another one.

        Raises:
            InputError: a word is no node, or several.
        """
        nodes = list(dict.fromkeys(map(self._node, words)))
        above = set().union(*(self._whole([node]) - {node} for node in nodes))
        return [self._paths[node] for node in nodes if node not in above]

    def _node(self, word: str) -> str:
        named = self._by_name.get(word, [])
        found = {*named, *([word] if word in self._paths else ())}
        if len(found) == 1:
            return found.pop()
        if found:
            raise InputError(f"{word!r:.60} is the name or the id of nodes {', '.join(sorted(found))}; give an id")
        near = difflib.get_close_matches(word, [*self._by_name, *self._nodes], 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(f"{word!r:.60} is no node of {self._path}{hint}")

    def _whole(self, nodes: Iterable[str]) -> set[str]:
        """Nodes and all above them."""
        waiting, whole = list(nodes), set[str]()
        while waiting:
            if (node := waiting.pop()) not in whole:
                whole.add(node)
                waiting += self._parents[node]
        return whole

    def hierarchy(self, paths: Iterable[str], all_paths: bool) -> LabelHierarchy:
        """The labels that `paths` lead to, with all their ancestors.

        Args:
            paths: as `paths` gave them, or above one of these.
            all_paths: list each label by every way down to it, not by one of the shortest alone.

        Raises:
            InputError: that would be more than MOST_PATHS.
        """
        kept = self._whole(self._node_of[path] for path in paths)
        listed: dict[str, list[str]] = {}
        edges, total = [], 0
        for node in (node for node in self._order if node in kept):
            own = self._paths[node]
            others = [parent for parent in self._parents[node] if self._paths[parent] != own.rpartition(SEPARATOR)[0]]
            edges += [(self._paths[parent], own) for parent in others]
            ways = [f"{way}{SEPARATOR}{self._names[node]}" for each in self._parents[node] for way in listed[each]]
            listed[node] = list(dict.fromkeys([own, *ways])) if all_paths else [own]
            total += len(listed[node])
            if total > MOST_PATHS:
                raise InputError(f"more than {MOST_PATHS:,} ways lead down to the labels; leave out --all_paths")
        every = sorted((path for each in listed.values() for path in each), key=lambda path: path.split(SEPARATOR))
        return LabelHierarchy(every, edges)

    def _sorted(self, above: dict[str, dict[str, int]]) -> list[str]:
        """The nodes, each after its parents."""
        place = {node: number for number, node in enumerate(self._nodes)}
        parents = [tuple(place[parent] for parent in self._parents[node]) for node in self._nodes]
        order, _ = from_the_top(parents)
        if len(order) < len(parents):
            way = [self._nodes[number] for number in circle(parents, set(range(len(parents))).difference(order))]
            line = max(above[child][parent] for parent, child in zip(way, way[1:]))
            said = " > ".join(map(repr, way))
            raise DatasetError(self._path, line, f"the edge closes a circle, {said}; take one of these edges out")
        return [self._nodes[number] for number in order]

    def _shortest(self, above: dict[str, dict[str, int]]) -> dict[str, str]:
        """Of each node one of the shortest ways down to it: that by the parent whose edge stands first."""
        depth: dict[str, int] = {}
        paths: dict[str, str] = {}
        taken: dict[tuple[str, str], str] = {}
        for node in self._order:
            parents, name = self._parents[node], self._names[node]
            nearest = min(parents, key=depth.__getitem__, default=None)
            depth[node] = 0 if nearest is None else depth[nearest] + 1
            paths[node] = name if nearest is None else f"{paths[nearest]}{SEPARATOR}{name}"
            for parent in parents or [""]:
                if (other := taken.setdefault((parent, name), node)) != node:
                    where = f"below {parent!r}" if parent else "at the top"
                    line = above[node][parent] if parent else None
                    raise DatasetError(
                        self._path, line, f"nodes {other!r} and {node!r} are both called {name!r} {where}; rename one"
                    )
        return paths


def _pairs(path: Path, form: str) -> Iterator[tuple[int, str, str]]:
    for number, line in read_lines(path):
        words = [composed(word.strip()) for word in line.split("\t")]
        if len(words) != 2 or not all(words):
            raise DatasetError(path, number, f"the line is not {form}")
        yield number, words[0], words[1]


def _name(path: Path | None, number: int, name: str) -> str:
    """A node's name as a segment of a label path."""
    if SEPARATOR in name:
        raise DatasetError(path, number, f"{name!r:.60} contains {SEPARATOR!r}, which separates levels; rename it")
    try:
        return path_of((name,))
    except InputError as error:
        raise DatasetError(path, number, str(error)) from error
