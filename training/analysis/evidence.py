"""How well training texts support the texts of a development set, by nearest neighbours among encoder features."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from sklearn.neighbors import NearestNeighbors

from pipeline.dataset import Example
from pipeline.hierarchy import LabelHierarchy
from training.analysis.progress import progress

NO_EVIDENCE = -1.0
"""Of a text whose labels no training text has; a cosine is never below it."""


def evidence(
    hierarchy: LabelHierarchy,
    train: Sequence[Example],
    train_features: np.ndarray,
    dev: Sequence[Example],
    dev_features: np.ndarray,
    rationales: int,
) -> np.ndarray:
    """The support that each dev text has in the training texts.

    It is the mean cosine of its `rationales` most similar positive training texts: those that share one of its
    deepest labels, since an ancestor alone says little of what the text is about.

    Args:
        train_features, dev_features: float32 [rows, width].

    Returns:
        float32 [dev rows], in [-1, 1]; NO_EVIDENCE where there is no positive training text.
    """
    train_rows, dev_rows = _rows_by_deepest_label(hierarchy, train), _rows_by_deepest_label(hierarchy, dev)
    found: list[dict[int, float]] = [{} for _ in dev]
    for label, rows in progress(dev_rows.items(), desc="evidence", unit="label"):
        if label in train_rows:
            positive = np.array(train_rows[label])
            for row, near, cosines in zip(rows, *nearest(dev_features[rows], train_features[positive], rationales)):
                found[row].update(zip(positive[near].tolist(), cosines.tolist()))
    best = [sorted(cosines.values(), reverse=True)[:rationales] for cosines in found]
    return np.array([np.mean(cosines) if cosines else NO_EVIDENCE for cosines in best], np.float32)


def nearest(queries: np.ndarray, corpus: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The most similar rows of `corpus` for each of `queries`: their numbers and cosines, [queries, count] each.

    There are fewer columns where the corpus has fewer rows.
    """
    neighbours = NearestNeighbors(n_neighbors=min(count, len(corpus)), metric="cosine", algorithm="brute").fit(corpus)
    distances, rows = neighbours.kneighbors(queries)
    return rows, 1 - distances


class Supporter(NamedTuple):
    """A row that supports a sparse text: its number, and the cosine of the two."""

    row: int
    cosine: float


def supporters(
    queries: np.ndarray, chunks: Iterable[np.ndarray], count: int, threshold: float
) -> list[list[Supporter]]:
    """The `count` most similar candidates of each query, most similar first, all with a cosine of at least `threshold`.

    Args:
        queries: float32 [queries, width].
        chunks: the candidates' features, float32 [any, width] each; only one chunk is held at a time.
    """
    best: list[list[Supporter]] = [[] for _ in queries]
    start = 0
    for chunk in chunks:
        for place, (rows, cosines) in enumerate(zip(*nearest(queries, chunk, count))):
            found = map(Supporter, (start + rows).tolist(), cosines.tolist())
            both = best[place] + [one for one in found if one.cosine >= threshold]
            best[place] = sorted(both, key=lambda one: -one.cosine)[:count]
        start += len(chunk)
    return best


def in_turns(ranked: Sequence[Sequence[Supporter]], count: int) -> list[int]:
    """`count` different rows: the best supporter of each text, then the second best of each, and so on."""
    return list(dict.fromkeys(_turns(ranked)))[:count]


def _turns(ranked: Sequence[Sequence[Supporter]]) -> Iterator[int]:
    for place in range(max(map(len, ranked), default=0)):
        yield from (supporter[place].row for supporter in ranked if len(supporter) > place)


def _rows_by_deepest_label(hierarchy: LabelHierarchy, examples: Sequence[Example]) -> dict[int, list[int]]:
    rows = defaultdict(list)
    for row, example in enumerate(examples):
        for position in hierarchy.deepest(example.labels):
            rows[position].append(row)
    return rows
