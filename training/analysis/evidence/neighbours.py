"""How well training texts support the texts of a development set, by nearest neighbours among encoder features."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_matrix, hstack
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from pipeline.files.dataset import Example
from pipeline.labels.hierarchy import LabelHierarchy
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


def sparsest(hierarchy: LabelHierarchy, support: np.ndarray, dev: Sequence[Example], count: int) -> list[int]:
    """`count` rows with little support, label by label: the row of each that has least, then the second, and so on.

    Otherwise one large vague class would take all places, and rare labels, which decide macro F1, none.
    """
    seen: Counter[int] = Counter()
    turns = []
    order = np.argsort(support, kind="stable").tolist()
    for row in order:
        labels = hierarchy.deepest(dev[row].labels)
        turns.append(min(seen[label] for label in labels))
        seen.update(labels)
    return [order[place] for place in np.argsort(turns, kind="stable")[:count]]


def nearest(queries: Any, corpus: Any, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The most similar rows of `corpus` for each of `queries`: their numbers and cosines, [queries, count] each.

    Both are [any, width], dense or sparse. There are fewer columns where the corpus has fewer rows.
    """
    neighbours = NearestNeighbors(n_neighbors=min(count, corpus.shape[0]), metric="cosine", algorithm="brute")
    distances, rows = neighbours.fit(corpus).kneighbors(queries)
    return rows, 1 - distances


class Described(NamedTuple):
    """Texts in two ways: by an encoder, float32 [texts, width], and by their words, TF-IDF [texts, words]."""

    features: np.ndarray
    words: csr_matrix

    def rows(self, numbers: Sequence[int]) -> Described:
        return Described(self.features[numbers], self.words[numbers])

    def joined(self) -> csr_matrix:
        """Both, such that a cosine of two texts is the mean of their two cosines."""
        return hstack([csr_matrix(normalize(self.features)), normalize(self.words)], format="csr")


class Supporter(NamedTuple):
    """A row that supports a sparse text: its number, and the mean of the cosines of the two texts."""

    row: int
    similarity: float


def supporters(queries: Described, chunks: Iterable[Described], count: int, threshold: float) -> list[list[Supporter]]:
    """The candidates that are most similar to each query, most similar first, `count` at most.

    They are ranked by encoder and words together: an encoder that knows few texts of a kind is a poor judge of it, and
    words are all that is left. The encoder's own cosine has to reach `threshold`.

    Args:
        chunks: the candidates; one chunk is held at a time.
    """
    best: list[list[Supporter]] = [[] for _ in queries.features]
    joined, directions, start = queries.joined(), normalize(queries.features), 0
    for chunk in chunks:
        for place, (rows, similarities) in enumerate(zip(*nearest(joined, chunk.joined(), count))):
            alike = normalize(chunk.features[rows]) @ directions[place] >= threshold
            found = map(Supporter, (start + rows[alike]).tolist(), similarities[alike].tolist())
            best[place] = sorted([*best[place], *found], key=lambda one: -one.similarity)[:count]
        start += len(chunk.features)
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
