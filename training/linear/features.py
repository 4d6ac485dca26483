"""The n-grams that a linear model learns from, chosen by the texts, and the matrix of their weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.sparse import csr_matrix

from pipeline.text.linear import MOST_WEIGHTS, as_counted, tfidf
from pipeline.text.ngrams import CHARACTERS, IN_WORDS, WORDS, NgramTable, as_read, words_of
from pipeline.text.unspaced import mostly_unspaced

_UNSPACED = ((CHARACTERS, 2, 1),)
_SPACED = ((WORDS, 2, 1), (IN_WORDS, 5, 3))
"""Kinds of n-grams, their greatest length, and in how many texts one must stand."""
_CHUNK = 1000


def learn_tables(texts: Sequence[str], labels: int) -> tuple[list[NgramTable], np.ndarray]:
    """The n-grams of normalised texts, and the rarity of each, float32 [features].

    Where the script puts no spaces between words: characters and their pairs; otherwise words and their pairs, and up
    to five characters of a word. Where there would be too many for so many labels, those that stand in few texts are
    left out.
    """
    lowered = as_counted(texts)
    wanted, most, least = _UNSPACED if mostly_unspaced(texts) else _SPACED, MOST_WEIGHTS // labels, 1
    while True:
        learnt = [_learn(lowered, kind, length, max(least, own)) for kind, length, own in wanted]
        if sum(table.size for table, _ in learnt) <= most:
            break
        least *= 2
    counts = np.concatenate([counts for _, counts in learnt])
    rarity = np.log((1 + len(texts)) / (1 + counts)) + 1
    return [table for table, _ in learnt], rarity.astype(np.float32)


def matrix(tables: Sequence[NgramTable], rarity: np.ndarray, texts: Sequence[str]) -> csr_matrix:
    """TF-IDF of normalised texts, float64 [texts, features]; see `pipeline.text.linear.tfidf`."""
    ends, columns, values = [np.zeros(1, np.int64)], [np.empty(0, np.int32)], [np.empty(0)]
    for start in range(0, len(texts), _CHUNK):
        some = texts[start : start + _CHUNK]
        owners, features, weights = tfidf(tables, rarity, some)
        ends.append(ends[-1][-1] + np.cumsum(np.bincount(owners, minlength=len(some))))
        columns.append(features.astype(np.int32))
        values.append(weights.astype(np.float64))
    parts = np.concatenate(values), np.concatenate(columns), np.concatenate(ends)
    return csr_matrix(parts, (len(texts), len(rarity)))


def _learn(texts: Sequence[str], kind: str, length: int, least: int) -> tuple[NgramTable, np.ndarray]:
    """A table of the n-grams that stand in at least `least` of the texts, and in how many each does, int64 [size]."""
    seen: Counter[str] = Counter()
    for text in texts:
        seen.update(set(words_of(text) if kind == WORDS else as_read(text, kind)))
    symbols = sorted(symbol for symbol, count in seen.items() if count >= least)
    counts = [np.array([seen[symbol] for symbol in symbols], np.int64)]
    table = NgramTable(kind, symbols)
    while table.length < length:
        level, found = _count(table, texts)
        kept = found >= least
        table = NgramTable(kind, symbols, [*table.levels, level[kept]])
        counts.append(found[kept])
    return table, np.concatenate(counts)


def _count(table: NgramTable, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The n-grams that are a symbol longer than the table's, and in how many texts each stands, int64 [n] each."""
    every, counts = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for keys in _keys(table, texts):
        own, found = np.unique(keys, return_counts=True)
        every.append(own)
        counts.append(found)
    level, places = np.unique(np.concatenate(every), return_inverse=True)
    return level, np.bincount(places, np.concatenate(counts), minlength=len(level)).astype(np.int64)


def _keys(table: NgramTable, texts: Sequence[str]) -> Iterator[np.ndarray]:
    """Per some texts the longer n-grams, each once for each text that it stands in, int64 [n]."""
    for start in range(0, len(texts), _CHUNK):
        owners, symbols = table.read(texts[start : start + _CHUNK])
        nodes = table.longest(symbols)
        keys = table.keys(nodes, symbols)
        known = keys >= 0
        yield np.unique(keys[known] * _CHUNK + owners[: len(keys)][known]) // _CHUNK
