"""What a server counts about the texts that it reads and the answers that it gives; texts themselves are not kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from pipeline.labels.decoding import Decoded, Decoder
from pipeline.labels.hierarchy import SEPARATOR
from pipeline.text.normalisation import MAX_TEXT_CHARACTERS
from pipeline.text.tokenisation import Encoded

SCORE_BOUNDS = tuple(round(0.1 * step, 1) for step in range(1, 11))
"""Upper bounds of the histogram of each text's highest score."""

TRAFFIC = "traffic"
"""Key of `expected_traffic` and `expected_texts` of the development set in what a bundle tells of its data."""
TOP_SCORE, TOP_LABEL = "top_score", "top_label"
TEXT_LENGTH, UNKNOWN_SHARE = "text_length", "unknown_share"
LENGTH_BOUNDS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, MAX_TEXT_CHARACTERS)
UNKNOWN_BOUNDS = (0, 0.02, 0.05, 0.1, 0.2, 0.5, 1)
"""Upper bounds of the bins: characters, and the share of the tokens that the vocabulary lacks."""
SEEN_HELP = "Texts by features that the bundle tells of the development set"
"""Of one metric, to which two steps of a server add."""
MOST_BINS = 20
NO_LABEL, OTHERS = "## none", "## others"
"""Bins of TOP_LABEL that can be no labels."""


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
    return (top[:, None] <= np.array(SCORE_BOUNDS, np.float32)).sum(axis=0), float(top.sum(dtype=np.float64))


def expected_traffic(decoded: Decoded) -> dict[str, dict[str, int]]:
    """How texts are spread over the bins of each feature, to hold traffic against: by feature, bin and texts.

    Features are TOP_SCORE, the highest score of a text, in tenths, and TOP_LABEL, the label of the first level that it
    is most surely answered: NO_LABEL where it is answered none, OTHERS where it is none of the MOST_BINS most frequent
    labels.
    """
    counts = Counter(_top_labels(decoded).tolist())
    unlabelled = counts.pop(NO_LABEL, 0)
    often = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_BINS])
    return {
        TOP_SCORE: dict(zip(map(str, SCORE_BOUNDS), _tenths(decoded).tolist())),
        TOP_LABEL: {NO_LABEL: unlabelled, **often, OTHERS: sum(counts.values()) - sum(often.values())},
    }


def seen_traffic(decoded: Decoded, expected: Mapping[str, Mapping[str, int]]) -> Iterator[tuple[str, str, int]]:
    """Texts in the bins of `expected`: feature, bin, and how many; bins without any are left out."""
    if TOP_SCORE in expected:
        for bound, count in zip(SCORE_BOUNDS, _tenths(decoded).tolist()):
            if count:
                yield TOP_SCORE, str(bound), count
    if TOP_LABEL in expected:
        known: Counter[str] = Counter()
        for name, count in zip(*np.unique(_top_labels(decoded), return_counts=True)):
            known[str(name) if str(name) in expected[TOP_LABEL] else OTHERS] += int(count)
        for name, count in known.items():
            yield TOP_LABEL, name, count


def text_bins(texts: Sequence[str], ids: Sequence[np.ndarray], unknown_id: int | None) -> dict[str, np.ndarray]:
    """In which bin each text is, by feature: str [texts].

    Features are TEXT_LENGTH, in characters, and UNKNOWN_SHARE, of the tokens that are read of it.

    Args:
        texts: as they came.
        ids: token ids of each, int64 [length], the two at its ends included.
        unknown_id: of tokens that the vocabulary lacks; None of a model that reads no tokens, and lacks none.
    """
    bins = {TEXT_LENGTH: _binned([len(text) for text in texts], LENGTH_BOUNDS)}
    if unknown_id is not None:
        shares = [int((row == unknown_id).sum()) / max(1, len(row) - 2) for row in ids]
        bins[UNKNOWN_SHARE] = _binned(shares, UNKNOWN_BOUNDS)
    return bins


def answer_bins(answers: Sequence[Sequence[tuple[str, float]]], scores: np.ndarray) -> dict[str, np.ndarray]:
    """In which bin of `expected_traffic` each answered text is, by feature: str [texts].

    What is no bin of TOP_LABEL there is one of the OTHERS.

    Args:
        answers: of each text its label paths and confidences, most confident first.
        scores: float32 [texts, labels].
    """
    tops = np.searchsorted(np.array(SCORE_BOUNDS, np.float32), scores.max(axis=1))
    firsts = [next((label for label, _ in answer if SEPARATOR not in label), NO_LABEL) for answer in answers]
    return {
        TOP_SCORE: np.array(list(map(str, SCORE_BOUNDS)))[np.minimum(tops, len(SCORE_BOUNDS) - 1)],
        TOP_LABEL: np.array(firsts, dtype=object),
    }


def expected_texts(bins: Mapping[str, np.ndarray]) -> dict[str, dict[str, int]]:
    """How texts are spread over `text_bins`, to hold traffic against: by feature, bin and texts."""
    every = {TEXT_LENGTH: LENGTH_BOUNDS, UNKNOWN_SHARE: UNKNOWN_BOUNDS}
    counts = {feature: Counter(own.tolist()) for feature, own in bins.items()}
    return {feature: {f"{bound:g}": own[f"{bound:g}"] for bound in every[feature]} for feature, own in counts.items()}


def seen_texts(
    bins: Mapping[str, np.ndarray], expected: Mapping[str, Mapping[str, int]]
) -> Iterator[tuple[str, str, int]]:
    """Texts in the bins of `expected`, as `seen_traffic` gives them."""
    for feature in bins.keys() & expected.keys():
        for part, count in Counter(bins[feature].tolist()).items():
            yield feature, part, count


def shift(expected: Mapping[str, int], seen: Mapping[str, int]) -> float:
    """How far texts have shifted from what was expected: their population stability index above that of mere chance.

    The index is the sum over the bins of (q - p) ln(q / p), with the shares of half a text more in each bin. Of two
    samples from one distribution it is (bins - 1) (1 / texts + 1 / expected texts) on average (Yurdakul 2018). The
    rules of serving/monitoring/alerts.yml compute the same.
    """
    counts = np.array([[expected[name], seen.get(name, 0)] for name in expected], np.float64)
    totals = counts.sum(axis=0)
    p, q = ((counts + 0.5) / (counts + 0.5).sum(axis=0)).T
    return float(((q - p) * np.log(q / p)).sum() - (len(counts) - 1) * (1 / np.maximum(totals, 1)).sum())


def _binned(values: Sequence[float], bounds: Sequence[float]) -> np.ndarray:
    """str [values]: of each the first bound that is no lower."""
    names = np.array([f"{bound:g}" for bound in bounds])
    return names[np.minimum(np.searchsorted(bounds, np.array(values, np.float64)), len(bounds) - 1)]


def _tenths(decoded: Decoded) -> np.ndarray:
    """int [bounds]: texts by their highest score, each under the first of SCORE_BOUNDS that is no lower."""
    return np.diff(top_score_histogram(decoded)[0], prepend=0)


def _top_labels(decoded: Decoded) -> np.ndarray:
    """str [texts]: of each text the label of the first level that it is most surely answered."""
    roots = np.flatnonzero(decoded.hierarchy.levels == 1)
    confidences = np.where(decoded.selected[:, roots], decoded.confidences[:, roots], -1)
    names = np.array(decoded.hierarchy.labels)[roots]
    return np.where(confidences.max(axis=1) < 0, NO_LABEL, names[confidences.argmax(axis=1)])
