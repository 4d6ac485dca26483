"""Which words of the training texts tell the label: augmentation keeps its hands off them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from pipeline.files.dataset import Example
from pipeline.labels.hierarchy import SEPARATOR, LabelHierarchy
from training.analysis.rewriting.words import is_word

LEAST_ROWS, LEAST_SHARE, LEAST_LIFT = 3, 0.5, 3.0
"""A word tells a label that at least LEAST_ROWS, and LEAST_SHARE, of the rows with the word have: LEAST_LIFT times the
label's share of all rows, or, where that is large, half way from there to all."""


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
            usual = frequency[label]
            if count >= LEAST_ROWS and count / rows[word] >= max(LEAST_SHARE, min(LEAST_LIFT * usual, (1 + usual) / 2)):
                self._told.setdefault(word, set()).add(label)
        self._named: dict[str, set[int]] = {}
        self._names = [path.split(SEPARATOR)[-1].lower() for path in hierarchy.labels]

    def tell_of(self, word: str, labels: Iterable[int]) -> bool:
        """Whether `word` tells one of the labels at these positions, and so must stay."""
        return not self._labels_of(word).isdisjoint(labels)

    def fits(self, word: str, labels: Iterable[int]) -> bool:
        """Whether `word` tells no label beside those at these positions, and so may come."""
        return self._labels_of(word) <= set(labels)

    def _labels_of(self, word: str) -> set[int]:
        if word not in self._named:
            named = {label for label, name in enumerate(self._names) if word.lower() in name or name in word.lower()}
            self._named[word] = self._told.get(word, set()) | named
        return self._named[word]
