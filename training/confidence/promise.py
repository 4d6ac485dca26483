"""Cut-offs that keep a promise of precision, found on labelled rows by tests in a fixed order.

Level by level, the labels that are answered most surely are taken first, and more are added step by step, as long as an
exact binomial test rejects that fewer than the promised share of all labels like these are right. The first test that
does not reject ends it, so that all tests together are wrong with the probability of one (Learn then Test:
Angelopoulos, Bates, Candes, Jordan and Lei 2021, with fixed-sequence testing). Where the sequence begins is read off
the scores alone: labels do not choose it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.stats import binom

from pipeline.command import announce
from pipeline.errors import InputError
from pipeline.files.chunks import CHARACTERS_PER_CHUNK, ROWS_PER_CHUNK, chunks
from pipeline.files.dataset import read_examples
from pipeline.labels.decoding import Decoder
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.labels.promises import Promise
from pipeline.option_values import AUTO
from pipeline.output import counted
from training.checkpoint.classifier import load_classifier
from training.checkpoint.files import Checkpoint

CONFIDENCE = 0.9
"""That a promise is kept, on all levels together: each may fail with an equal share of what is left."""
STEPS = 100
"""Tests of a level, at most."""
LEAST_SCORE = 0.01
SHOWN_LABELS = 3
_LOWER = 0.005
"""Steps in which a promise that can be kept is looked for."""


def rows_needed(precision: float, levels: int) -> int:
    """Answered rows without a mistake that allow a promise on each of so many levels."""
    return math.ceil(math.log(_risk(levels)) / math.log(precision))


def with_promises(
    decoder: Decoder, checkpoint: Checkpoint, precisions: Sequence[float], rows: Path | None = None
) -> Decoder:
    """A decoder of a checkpoint's with promises, of each of which a line tells what it rests on.

    Args:
        rows: a file of labelled rows; None for the development file that the checkpoint was trained with.

    Raises:
        InputError: as `find_promises` does, and where the rows cannot be read.
    """
    path, seen = rows or _development_file(checkpoint), ""
    if rows is None:
        seen = (
            ", by which training chose, too, so that new texts may be answered a little worse; rows that nothing has "
            "seen (--promise_rows FILE) make it firmer"
        )
    examples = list(read_examples(path, decoder.hierarchy))
    classifier = load_classifier(checkpoint.path, AUTO, None, 32)
    announce(f"classifying {counted(len(examples), 'row')} of {path}")
    texts = chunks((example.text for example in examples), ROWS_PER_CHUNK, CHARACTERS_PER_CHUNK)
    logits = np.concatenate([classifier.logits(part) for part in texts] or [np.empty((0, len(decoder.hierarchy)))])
    actual = decoder.hierarchy.matrix([example.labels for example in examples])
    promises = find_promises(decoder, logits, actual, precisions, path.name)
    for promise in promises:
        print(f"{promise.in_words(decoder.hierarchy.depth)}; it rests on {promise.rows:,} rows of {path}{seen}")
    for note in notes(decoder, promises, actual):
        print(f"note: {note}")
    own = (decoder.thresholds, decoder.policy, decoder.calibration)
    return Decoder(decoder.hierarchy, *own, promises)


def notes(decoder: Decoder, promises: Sequence[Promise], actual: np.ndarray) -> Iterator[str]:
    """What is to be known of promises that were found on rows with these labels, bool [texts, labels]."""
    hierarchy = decoder.hierarchy
    for promise in promises:
        lower = promise.thresholds(hierarchy.levels) < decoder.thresholds
        if lower.any():
            levels = np.unique(hierarchy.levels[lower])
            cutoffs = ", ".join(f"{promise.cutoffs[level - 1]:.3g} on level {level}" for level in levels)
            yield (
                f"the cut-offs of promise {promise.precision:g} ({cutoffs}) lie below the model's own thresholds of "
                f"{lower.sum():,} of {counted(len(hierarchy), 'label')}: with it texts can get labels that the plain "
                "answer leaves out"
            )
    deepest = max((len(promise.cutoffs) for promise in promises), default=0)
    absent = np.flatnonzero(~actual.any(axis=0) & (hierarchy.levels <= deepest))
    if len(absent):
        named = ", ".join(hierarchy.labels[column] for column in absent[:SHOWN_LABELS])
        yield (
            f"{len(absent):,} of {counted(len(hierarchy), 'label')} {'has' if len(absent) == 1 else 'have'} no row "
            f"there; what is promised of {'it' if len(absent) == 1 else 'them'} rests on rows of other labels: {named}"
            f"{', ...' * (len(absent) > SHOWN_LABELS)}"
        )


def _development_file(checkpoint: Checkpoint) -> Path:
    options = checkpoint.record.options
    path = Path(str(options.get("dataset_dir"))) / str(options.get("dev_file"))
    if not path.is_file():
        raise InputError(f"{checkpoint.path} was trained with {path}, which is not there; give --promise_rows FILE")
    return path


def find_promises(
    decoder: Decoder, logits: np.ndarray, actual: np.ndarray, precisions: Sequence[float], rests_on: str
) -> list[Promise]:
    """The promises that a model can keep, the lowest first.

    Args:
        decoder: its calibration is used, and what leads.
        logits: float32 [texts, labels] of rows that neither training nor calibration has seen, or hardly so.
        actual: bool [texts, labels].
        precisions: what is to be promised.
        rests_on: what the rows are called.

    Raises:
        InputError: there are too few rows, or a precision is higher than the model can keep.
    """
    hierarchy, scores, found = decoder.hierarchy, decoder.credited(decoder.decode(logits)), list[Promise]()
    for precision in sorted(set(precisions)):
        needed = rows_needed(precision, hierarchy.depth)
        if len(logits) < needed:
            raise InputError(
                f"--promise {precision:g} takes at least {needed} labelled rows that are answered without a mistake, "
                f"and {rests_on} has {len(logits)}; give more rows with --promise_rows, or promise less"
            )
        cutoffs = find_cutoffs(hierarchy, scores, actual, precision)
        if not cutoffs:
            highest = _highest(hierarchy, scores, actual, precision)
            advice = f"the highest that it can keep on them is {highest:g}" if highest else "it can keep none on them"
            raise InputError(f"--promise {precision:g} is more than the model keeps on {rests_on}: {advice}")
        promise = Promise(precision, cutoffs, CONFIDENCE, rests_on, len(logits))
        kept = promise.kept(hierarchy, scores)
        levels = [kept[:, hierarchy.levels == level + 1] for level in range(len(cutoffs))]
        coverage = tuple(round(float(level.any(axis=1).mean()), 4) for level in levels)
        found.append(replace(promise, coverage=coverage))
    return found


def find_cutoffs(
    hierarchy: LabelHierarchy, scores: np.ndarray, actual: np.ndarray, precision: float
) -> tuple[float, ...]:
    """A cut-off for each level from 1 that can be promised; a level below one that cannot be has none.

    Args:
        scores: float32 [texts, labels], calibrated.
        actual: bool [texts, labels].
    """
    cutoffs: list[float] = []
    for level in range(1, hierarchy.depth + 1):
        candidates = promisable(hierarchy, level, cutoffs, scores)
        cutoff = _cutoff(scores[candidates], actual[candidates], precision, _risk(hierarchy.depth))
        if cutoff is None:
            break
        cutoffs.append(cutoff)
    return tuple(cutoffs)


def promisable(hierarchy: LabelHierarchy, level: int, cutoffs: Sequence[float], scores: np.ndarray) -> np.ndarray:
    """bool [texts, labels]: labels of a level that could be promised, given the cut-offs of the levels above it."""
    limits = np.array([*cutoffs, LEAST_SCORE, *[np.inf] * (hierarchy.depth - level)], np.float32)
    candidates = hierarchy.cap_descendants(scores >= limits[hierarchy.levels - 1])
    candidates[:, hierarchy.levels != level] = False
    return candidates


def _cutoff(scores: np.ndarray, right: np.ndarray, precision: float, risk: float) -> float | None:
    order = np.argsort(-scores, kind="stable")
    scores, most = scores[order], len(scores)
    hits = np.cumsum(right[order])
    start = _start(scores, precision, risk)
    best = None
    for count in np.unique(np.linspace(start, most, STEPS).astype(int)) if start else ():
        if count < most and scores[count] == scores[count - 1]:
            continue  # no cut-off stands between labels of equal scores
        if binom.sf(hits[count - 1] - 1, count, precision) > risk:
            break
        best = float(scores[count - 1])
    return None if best is None else min(max(best, LEAST_SCORE), 1 - 1e-6)


def _start(scores: np.ndarray, precision: float, risk: float) -> int:
    """How many labels are tested first, of those with these falling scores: as many as are expected to make half of the
    mistakes that are allowed, at most half of all, and enough for a few mistakes; 0 where there are too few."""
    needed = math.ceil(math.log(risk) / math.log(precision))
    if len(scores) < needed:
        return 0
    expected = np.cumsum(scores, dtype=np.float64) / np.arange(1, len(scores) + 1)
    sure = int(np.searchsorted(-expected, -(1 + precision) / 2, side="right"))
    return min(len(scores), max(2 * needed, min(sure, len(scores) // 2)))


def _highest(hierarchy: LabelHierarchy, scores: np.ndarray, actual: np.ndarray, precision: float) -> float | None:
    for less in np.arange(precision - _LOWER, 0.5, -_LOWER).round(3).tolist():
        if find_cutoffs(hierarchy, scores, actual, less):
            return less
    return None


def _risk(levels: int) -> float:
    return (1 - CONFIDENCE) / levels
