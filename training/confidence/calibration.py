"""Calibration learnt on development rows: for each level of the hierarchy the curve that makes probabilities of scores.

Three numbers a level are learnt on many thousands of pairs of a text and a label, so that they are nearly the same on
other rows: `Calibrated.error` says how nearly, with the curves of one half of the rows on the other half.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from pipeline.files.bundle import read_linear
from pipeline.labels.calibration import Calibration, curve
from pipeline.labels.decoding import Decoder, sigmoid
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.metrics.scores import Reliability
from pipeline.metrics.sets import LABEL_COUNTS, Metrics
from pipeline.metrics.traffic import TRAFFIC, expected_texts, expected_traffic, text_bins
from pipeline.text.encoding import TextEncoder
from pipeline.text.linear import LINEAR_FILE
from training.checkpoint.files import TrainingRecord, read_checkpoint, rewrite_checkpoint
from training.data.encoded import EncodedDataset

STEP, FARTHEST = 0.02, 40.0
"""Logits are counted in steps of so much, up to so far from 0."""
SLOPES = (0.01, 100.0)
SPOKEN = 0.05
"""A score from which a label is worth a word; below it lie nearly all pairs of a text and a label."""
_SURE = 1e-6


@dataclass(frozen=True)
class Calibrated:
    """What was learnt.

    Attributes:
        calibration: None where scores are better as they are.
        before, after: expected calibration error of all scores, and of those of at least SPOKEN, on one half of the
            rows with what was learnt on the other, both ways.
    """

    calibration: Calibration | None
    before: tuple[float, float]
    after: tuple[float, float]

    def __str__(self) -> str:
        figures = [f"{was:.4f} -> {now:.4f}" for was, now in zip(self.before, self.after)]
        left = "" if self.calibration else "; left out, for scores are better as they are"
        return (
            f"calibration: error on one half of dev with the curves of the other: {figures[0]} of all scores, "
            f"{figures[1]} of those from {SPOKEN}{left}"
        )


def learn_calibration(hierarchy: LabelHierarchy, logits: np.ndarray, actual: np.ndarray) -> Calibrated:
    """The calibration of a model, for logits, float32 [texts, labels], and labels, bool [texts, labels].

    It is kept where scores are likelier with it on rows that it was not learnt on.
    """
    halves, seen = np.arange(len(logits)) % 2, []
    calibrated, gain = np.array(logits, np.float32), 0.0
    for half in (0, 1) if len(logits) > 1 else ():
        own, other = halves == half, halves != half
        calibrated[other] = _learn(hierarchy, logits[own], actual[own])(logits[other])
        gain += _log_loss(logits[other], actual[other]) - _log_loss(calibrated[other], actual[other])
    for table in (logits, calibrated):
        scores = sigmoid(table)
        seen.append((calibration_error(scores, actual), calibration_error(scores, actual, SPOKEN)))
    return Calibrated(_learn(hierarchy, logits, actual) if gain > 0 else None, *seen)


def calibration_error(scores: np.ndarray, actual: np.ndarray, least: float = 0.0) -> float:
    """The expected calibration error of scores of at least `least`, see `pipeline.metrics.scores.Reliability`."""
    reliability, chosen = Reliability(), scores >= least
    reliability.update(actual[chosen], scores[chosen])
    return reliability.error()


def calibrated(
    record: TrainingRecord,
    hierarchy: LabelHierarchy,
    logits: np.ndarray,
    actual: np.ndarray,
    bins: Mapping[str, np.ndarray],
) -> TrainingRecord:
    """A record with what was learnt of these rows, which is told in a line, what they look like to a server, and how
    often each label was right.

    Its thresholds move along, so that label sets stay as they are.

    Args:
        bins: `bins_of` the rows' texts.
    """
    learnt = learn_calibration(hierarchy, logits, actual)
    print(learnt)
    record = _with_calibration(record, hierarchy, learnt)
    thresholds = np.broadcast_to(np.array(record.thresholds, np.float32), len(hierarchy))
    decoder = Decoder(hierarchy, thresholds, record.decoding, record.calibration)
    decoded, metrics = decoder.decode(logits), Metrics(hierarchy)
    metrics.update(actual, decoded.selected)
    traffic = {**expected_traffic(decoded), **expected_texts(bins)}
    return replace(record, data={**record.data, TRAFFIC: traffic, LABEL_COUNTS: metrics.counts()})


def bins_of(dev_set: EncodedDataset, encoder: TextEncoder) -> dict[str, np.ndarray]:
    """See `pipeline.metrics.traffic.text_bins`."""
    return text_bins(dev_set.texts, dev_set.rows, encoder.tokeniser.unknown_id if encoder.reads_tokens else None)


def _with_calibration(record: TrainingRecord, hierarchy: LabelHierarchy, learnt: Calibrated) -> TrainingRecord:
    if learnt.calibration is None:
        return record
    thresholds = np.broadcast_to(np.array(record.thresholds), len(hierarchy))[None]
    moved = np.clip(sigmoid(learnt.calibration(np.log(thresholds / (1 - thresholds)))[0]), _SURE, 1 - _SURE)
    values = tuple(round(float(value), 6) for value in moved)
    return replace(record, calibration=learnt.calibration, thresholds=values)


def calibrate_checkpoint(save_dir: Path, logits: np.ndarray, dev_set: EncodedDataset) -> None:
    """Give the checkpoint at `save_dir` a calibration, by its logits of the development rows."""
    checkpoint = read_checkpoint(save_dir)
    if checkpoint.record.calibration:  # of a run that was interrupted after this
        return
    bins = bins_of(dev_set, checkpoint.encoder())
    record = calibrated(checkpoint.record, checkpoint.hierarchy, logits, dev_set.labels, bins)
    linear = None
    if record.encoder_weight is not None:
        linear = read_linear(checkpoint.path / LINEAR_FILE, len(checkpoint.hierarchy))
    rewrite_checkpoint(checkpoint, record, linear)


def _learn(hierarchy: LabelHierarchy, logits: np.ndarray, actual: np.ndarray) -> Calibration:
    numbers = np.tile(np.array([1.0, 1.0, 0.0]), (len(hierarchy), 1))
    for level in range(1, hierarchy.depth + 1):
        columns = hierarchy.levels == level
        numbers[columns] = _fit(logits[:, columns], actual[:, columns])
    return Calibration(*(tuple(column) for column in numbers.round(6).T.tolist()))


def _fit(logits: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """low, high and offset of the curve that makes the labels likeliest, with one standard deviation of 1 around none.

    That keeps the curve of few rows, or of rows that are all right, near the scores as they are.
    """
    places = np.rint(np.clip(logits, -FARTHEST, FARTHEST) / STEP).astype(np.intp) + int(FARTHEST / STEP)
    most = 2 * int(FARTHEST / STEP) + 1
    pairs, right = np.bincount(places.ravel(), minlength=most), np.bincount(places[actual], minlength=most)
    centres, start = np.arange(most) * STEP - FARTHEST, np.array([1.0, 1.0, 0.0])
    used = pairs > 0
    centres, pairs, right = centres[used], pairs[used], right[used]
    above, below = np.logaddexp(0, centres), -np.logaddexp(0, -centres)

    def loss(numbers: np.ndarray) -> tuple[float, np.ndarray]:
        values = curve(centres, *numbers)
        chances = 0.5 * (1 + np.tanh(values / 2))
        excess = pairs * chances - right
        total = (pairs * np.logaddexp(0, values) - right * values).sum() + ((numbers - start) ** 2).sum() / 2
        slopes = np.array([(excess * below).sum(), (excess * above).sum(), excess.sum()])
        return float(total), slopes + numbers - start

    return minimize(loss, start, jac=True, bounds=[SLOPES, SLOPES, (None, None)], method="L-BFGS-B").x


def _log_loss(logits: np.ndarray, actual: np.ndarray) -> float:
    return float((np.logaddexp(0, logits) - np.where(actual, logits, 0)).sum())
