"""Made-up directed acyclic graphs of labels, as a label list and edges, and what they are by definition."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from pipeline.labels.hierarchy import LabelHierarchy


@dataclass
class MadeUpGraph:
    """A graph, node by node, each after its parents.

    Attributes:
        parents: per node its parents; none of one at the top.
        paths: per node the paths that the list has it by.
        edges: between paths, what the paths themselves do not say.
    """

    parents: list[tuple[int, ...]] = field(default_factory=list)
    paths: list[list[str]] = field(default_factory=list)
    edges: list[tuple[str, str]] = field(default_factory=list)

    def ancestors(self, node: int) -> set[int]:
        """A node and all above it."""
        return {node}.union(*(self.ancestors(parent) for parent in self.parents[node]))

    def hierarchy(self, seed: int = 0) -> LabelHierarchy:
        """The labels in an order of chance."""
        listed = [path for paths in self.paths for path in paths]
        random.Random(seed).shuffle(listed)
        return LabelHierarchy(listed, random.Random(seed).sample(self.edges, len(self.edges)))


def made_up_graph(nodes: int, seed: int, most_parents: int = 3, all_paths: float = 0.5) -> MadeUpGraph:
    """A graph of so many nodes; `all_paths` is the share of further parents whose way down is listed as a path."""
    chance, graph = random.Random(seed), MadeUpGraph()
    taken: set[str] = set()
    for node in range(nodes):
        parents = tuple(chance.sample(range(node), min(node, chance.choice(range(most_parents + 1)))))
        name = chance.choice("abcdef")
        if any(f"{path}##{name}" in taken for each in parents or () for path in graph.paths[each]) or name in taken:
            name += str(node)  # the same name below one parent would be the same node
        own = [f"{chance.choice(graph.paths[parents[0]])}##{name}"] if parents else [name]
        for parent in parents[1:]:
            above = chance.choice(graph.paths[parent])
            graph.edges.append((above, own[0]))
            if chance.random() < all_paths:
                own.append(f"{above}##{name}")
        # Every way down to the node, so that no other node gets its name there.
        taken.update(f"{path}##{name}" for each in parents for path in graph.paths[each])
        taken.update(own)
        graph.parents.append(parents)
        graph.paths.append(own)
    return graph


def diamonds(height: int) -> tuple[list[str], list[tuple[str, str]]]:
    """Label list and edges of stacked diamonds: 2 ** height ways lead to the last node, and it is listed by one."""
    paths, edges, top = ["0"], [], "0"
    for _ in range(height):
        left, right, below = f"{top}##l", f"{top}##r", f"{top}##l##b"
        paths += [left, right, below]
        edges.append((right, below))
        top = below
    return paths, edges
