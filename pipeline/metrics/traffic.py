"""What a server counts about the texts that it reads and the answers that it gives; texts themselves are not kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.labels.decoding import Decoded, Decoder
from pipeline.text.tokenisation import Encoded

SCORE_BOUNDS = tuple(round(0.1 * step, 1) for step in range(1, 11))
"""Upper bounds of the histogram of each text's highest score."""


def token_counts(encoded: Encoded, unknown_id: int) -> dict[str, int]:
    """Texts, how many of them were truncated, their tokens, and the tokens that the vocabulary lacks."""
    ids: Sequence[np.ndarray] = encoded.ids
    joined = np.concatenate(ids) if ids else np.empty(0, np.int64)
    return {
        "texts": len(ids),
        "truncated_texts": int(encoded.truncated.sum()),
        "tokens": len(joined),
        "unknown_tokens": int((joined == unknown_id).sum()),
    }


def level_counts(decoded: Decoded) -> np.ndarray:
    """int [depth]: how many labels of each level were answered."""
    chosen = decoded.selected.sum(axis=0)
    return np.bincount(decoded.hierarchy.levels - 1, weights=chosen, minlength=decoded.hierarchy.depth).astype(int)


def empty_rows(decoded: Decoded) -> int:
    """How many texts got no label."""
    return int((~decoded.selected.any(axis=1)).sum())


def inconsistent_rows(decoder: Decoder, decoded: Decoded) -> int:
    """For how many texts the labels that reached their thresholds were no consistent set, before any repair."""
    return int((~decoded.hierarchy.consistent_rows(decoded.scores >= decoder.thresholds)).sum())


def top_score_histogram(decoded: Decoded) -> tuple[np.ndarray, float]:
    """How many texts have a highest score up to each of SCORE_BOUNDS, int [bounds], and the sum of those scores."""
    top = decoded.scores.max(axis=1)
    return (top[:, None] <= np.array(SCORE_BOUNDS, np.float32)).sum(axis=0), float(top.sum())
