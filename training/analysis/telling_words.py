"""Which words of the training texts tell the label: augmentation keeps its hands off them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from pipeline.dataset import Example
from pipeline.hierarchy import SEPARATOR, LabelHierarchy
from training.analysis.words import is_word

LEAST_ROWS, LEAST_SHARE, LEAST_LIFT = 3, 0.5, 3.0
"""A word tells a label that at least LEAST_ROWS, and LEAST_SHARE, of the rows with the word have, LEAST_LIFT times as
many as among all rows."""


class TellingWords:
    """The labels that each word tells.

    Args:
        examples: the training rows.
        pieces: the words of each.
        hierarchy: the labels; a word in the name of a label tells that label too.
    """

    def __init__(self, examples: Sequence[Example], pieces: Iterable[Sequence[str]], hierarchy: LabelHierarchy) -> None:
        rows: Counter[str] = Counter()
        together: Counter[tuple[str, int]] = Counter()
        per_label = np.zeros(len(hierarchy))
        for example, words in zip(examples, pieces):
            labels = hierarchy.deepest(example.labels)
            per_label[labels] += 1
            for word in set(filter(is_word, words)):
                rows[word] += 1
                together.update((word, label) for label in labels)
        frequency = per_label / max(1, len(examples))
        self._told: dict[str, set[int]] = {}
        for (word, label), count in together.items():
            share = count / rows[word]
            if count >= LEAST_ROWS and share >= LEAST_SHARE and share >= LEAST_LIFT * frequency[label]:
                self._told.setdefault(word, set()).add(label)
        self._names = [path.split(SEPARATOR)[-1].lower() for path in hierarchy.labels]

    def tell_of(self, word: str, labels: Iterable[int]) -> bool:
        """Whether `word` tells one of the labels at these positions, and so must stay."""
        told = self._told.get(word, set())
        return any(label in told or word.lower() in self._names[label] for label in labels)

    def fits(self, word: str, labels: Iterable[int]) -> bool:
        """Whether `word` tells no label beside those at these positions, and so may come."""
        return self._told.get(word, set()) <= set(labels)
