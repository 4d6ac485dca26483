"""Vectors of tokens or words from what stands around them in texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

EMBEDDING_SCALE = 0.05
CONTEXT_DISTANCES = (1, 2)
CONTEXT_SMOOTHING = 0.75
FIRST_ORDINARY_ID = 5
"""Ids below it are special tokens, as `pipeline.text.vocabulary` numbers them."""


def context_embeddings(
    rows: Sequence[np.ndarray], vocabulary_size: int, width: int, random: np.random.Generator
) -> np.ndarray:
    """Token embeddings from what stands one and two places to the left and right of each token.

    Positive pointwise mutual information with smoothed contexts, factorised by a truncated SVD (Levy, Goldberg and
    Dagan 2015). Tokens without a neighbour get random values of the same size.

    Returns:
        float32 [vocabulary_size, width], root mean square EMBEDDING_SCALE per row.
    """
    gap = np.zeros(max(CONTEXT_DISTANCES), np.int64)
    stream = np.concatenate([part for row in rows for part in (row, gap)])
    counts = []
    for distance in CONTEXT_DISTANCES:
        left, right = stream[:-distance], stream[distance:]
        both = (left >= FIRST_ORDINARY_ID) & (right >= FIRST_ORDINARY_ID)
        shape = (vocabulary_size, vocabulary_size)
        follows = sparse.coo_matrix((np.ones(both.sum()), (left[both], right[both])), shape=shape).tocsr()
        counts += [follows, follows.T]
    table = sparse.hstack(counts).tocsr().tocoo()
    per_token, per_context = np.asarray(table.sum(1)).ravel(), np.asarray(table.sum(0)).ravel() ** CONTEXT_SMOOTHING
    information = np.log(table.data * per_context.sum() / (per_token[table.row] * per_context[table.col]))
    kept = information > 0
    positive = sparse.coo_matrix((information[kept], (table.row[kept], table.col[kept])), shape=table.shape).tocsr()

    rank = min(width, min(positive.shape) - 1)
    left_vectors, values, _ = randomized_svd(positive, rank, n_iter=2, random_state=int(random.integers(1 << 31)))
    vectors = np.zeros((vocabulary_size, width))
    vectors[:, :rank] = left_vectors * np.sqrt(values)
    size = np.sqrt((vectors**2).mean(axis=1, keepdims=True))
    unseen = size[:, 0] < 1e-6
    vectors[unseen] = random.normal(0, 1, (int(unseen.sum()), width))
    return (EMBEDDING_SCALE * np.where(unseen[:, None], vectors, vectors / np.maximum(size, 1e-6))).astype(np.float32)
