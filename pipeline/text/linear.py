"""The linear part of a model: TF-IDF of n-grams times a weight for each label. It needs numpy alone.

What it gives is added to the encoder's logits, or answers alone.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import ClassifierError, InputError
from pipeline.tensors import ENSEMBLE
from pipeline.text.ngrams import NgramTable

LINEAR_FILE = "linear.npz"
MOST_CHARACTERS = 20_000
"""Of a text that are read: more would let one caller hold up the others."""
MOST_WEIGHTS = 1 << 26
"""n-grams times labels: 256 MB while serving."""
_MOST_TABLES = 4


class LinearPart:
    """A linear model of the labels.

    Args:
        tables: the n-grams that it knows; features are numbered through all of them.
        rarity: float32 [features], the inverse document frequency of each.
        weights: float32 [features, labels].
        offsets: float32 [labels].

    Raises:
        InputError: the arrays do not fit each other, or hold what is no number.
    """

    def __init__(
        self, tables: Sequence[NgramTable], rarity: np.ndarray, weights: np.ndarray, offsets: np.ndarray
    ) -> None:
        self.tables = tuple(tables)
        self.rarity, self.weights, self.offsets = (
            np.ascontiguousarray(array, np.float32) for array in (rarity, weights, offsets)
        )
        features, shapes = sum(table.size for table in self.tables), (self.weights.ndim, self.offsets.ndim)
        if shapes != (2, 1) or self.rarity.shape != (features,) or self.weights.shape != (features, self.labels):
            raise InputError(
                f"the linear part has {features} n-grams, rarities of shape {list(self.rarity.shape)}, weights of "
                f"{list(self.weights.shape)} and offsets of {list(self.offsets.shape)}; these do not fit"
            )
        if self.weights.size > MOST_WEIGHTS:
            raise InputError(f"the linear part has {self.weights.size:,} weights; at most {MOST_WEIGHTS:,} are loaded")
        if not all(np.isfinite(array).all() for array in (self.rarity, self.weights, self.offsets)):
            raise InputError("the linear part holds what is no finite number")

    @property
    def labels(self) -> int:
        """Number of labels."""
        return len(self.offsets)

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """float32 [texts, labels] of normalised texts."""
        logits = np.tile(self.offsets, (len(texts), 1))
        owners, features, values = tfidf(self.tables, self.rarity, texts)
        starts = np.searchsorted(owners, np.arange(len(texts) + 1))
        for row, (start, end) in enumerate(zip(starts, starts[1:])):
            if end > start:
                logits[row] += _weighted(values[start:end], self.weights[features[start:end]])
        return logits

    def of_columns(self, columns: Sequence[int]) -> LinearPart:
        """The same for some of the labels: theirs are the same logits, to the bit."""
        kept = list(columns)
        return LinearPart(self.tables, self.rarity, self.weights[:, kept], self.offsets[kept])

    def beside(self, other: LinearPart) -> LinearPart:
        """The same for the labels of both, those of `other`, which has the same n-grams, last."""
        weights = np.concatenate([self.weights, other.weights], axis=1)
        return LinearPart(self.tables, self.rarity, weights, np.concatenate([self.offsets, other.offsets]))

    def scaled(self, factor: float, offset: float) -> LinearPart:
        """The same, its logits times `factor` and then plus `offset`."""
        return LinearPart(self.tables, self.rarity, self.weights * factor, self.offsets * factor + offset)

    def write(self, path: Path) -> None:
        """Write it; equal ones give equal bytes. Weights are kept in float16."""
        arrays: dict[str, Any] = {
            "rarity": self.rarity,
            "weights": self.weights.astype(np.float16),
            "offsets": self.offsets,
        }
        for number, table in enumerate(self.tables):
            arrays.update({f"table{number}.{name}": array for name, array in table.to_arrays().items()})
        with path.open("wb") as stream:
            np.savez(stream, **arrays)

    @classmethod
    def read(cls, path: Path) -> LinearPart:
        """What `write` wrote; nothing in it is run.

        Raises:
            InputError: it is something else, or cannot be read.
        """
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            tables = []
            for number in range(_MOST_TABLES):
                prefix = f"table{number}."
                own = {name[len(prefix) :]: arrays[name] for name in arrays if name.startswith(prefix)}
                if own:
                    tables.append(NgramTable.from_arrays(own))
            return cls(tables, arrays["rarity"], arrays["weights"], arrays["offsets"])
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        except (OSError, KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(f"{path} is no linear part of a model ({error!r:.80})") from None


def _weighted(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """float32 [labels], `values` [n] times `weights` [n, labels], each label's summed in the order of the values.

    A product by BLAS sums in an order that depends on how many labels there are, and a lone column is summed in
    pairs: a label's score would change in its last bits when another label goes.
    """
    if weights.shape[1] == 1:
        return np.einsum("i,ij->j", values, np.repeat(weights, 2, axis=1))[:1]
    return np.einsum("i,ij->j", values, weights)


def as_counted(texts: Sequence[str]) -> list[str]:
    """What is read of normalised texts."""
    return [text[:MOST_CHARACTERS].lower() for text in texts]


def tfidf(
    tables: Sequence[NgramTable], rarity: np.ndarray, texts: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """TF-IDF of the n-grams of normalised texts, each table's of a text scaled to length 1.

    The weight of an n-gram that stands n times in a text is (1 + ln n) times its rarity (Salton and Buckley 1988).

    Returns:
        Per different n-gram of a text: the text's number, rising, and the n-gram's, int64 [n] each; its weight,
        float32 [n].
    """
    lowered = as_counted(texts)
    parts, start = [], 0
    for table in tables:
        found = table.find(lowered)
        pairs, counts = np.unique(found.texts * table.size + found.features, return_counts=True)
        owners, features = np.divmod(pairs, table.size) if len(pairs) else (pairs, pairs)
        values = (1 + np.log(counts.astype(np.float32))) * rarity[start + features]
        lengths = np.sqrt(np.bincount(owners, values * values, minlength=len(texts)))
        parts.append((owners, features + start, (values / lengths[owners]).astype(np.float32)))
        start += table.size
    if not parts:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32)
    owners, features, values = (np.concatenate(part) for part in zip(*parts))
    order = np.argsort(owners, kind="stable")
    return owners[order], features[order], values[order]


def combined(logits: np.ndarray, linear: np.ndarray | None, encoder_weight: float | None) -> np.ndarray:
    """The logits of a whole model, float32 [texts, labels], of those of its encoder and of its linear part.

    Args:
        logits: of the encoder.
        linear: of the linear part; None where the model has none.
        encoder_weight: what the encoder's are multiplied by; None where the model has no linear part.

    Raises:
        ClassifierError: there is a linear part and nothing of it was given, or the other way round.
    """
    if (linear is None) != (encoder_weight is None):
        lacks, has = ("lacks", "has one") if linear is None else ("has", "has none")
        raise ClassifierError(f"the request {lacks} logits of a linear part, and the model {has}; ask {ENSEMBLE}")
    if linear is None or encoder_weight is None:
        return logits
    return (np.float32(encoder_weight) * logits + linear).astype(np.float32)
