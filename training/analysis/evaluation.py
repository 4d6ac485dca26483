"""Measuring a classifier on labelled files, row by row in constant memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from tqdm import tqdm

from pipeline.command import announce
from pipeline.errors import ClassifierError, InputError
from pipeline.files.chunks import CHARACTERS_PER_CHUNK, chunks, rows_per_chunk
from pipeline.files.dataset import Example, join_labels, read_examples
from pipeline.labels.decoding import Decoded, Decoder, sigmoid
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.metrics.confused_pairs import ConfusedPairs
from pipeline.metrics.scores import Reliability, ScoreMetrics
from pipeline.metrics.sets import Metrics
from pipeline.output import as_cell, counted, shortened
from pipeline.text.encoding import TextEncoder
from training.checkpoint.classifier import Classifier
from training.confidence.kept import KeptPromises
from training.data.reading import FEW_ROWS, SAMPLED_TEXTS, measure_reading

CONFUSIONS = 100
SHOWN_CASES = 500
SHOWN_CHARACTERS = 2000
SHOWN_PREDICTIONS = 50
BAD_CASE_HEADER = ("Prediction", "Label", "Text")


class LabelledFile(NamedTuple):
    """A labelled file that was read once and found right."""

    path: Path
    rows: int


def check_labelled_file(path: Path, hierarchy: LabelHierarchy) -> LabelledFile:
    """Read a labelled file to its end: a fault in its last row shows before anything is computed.

    Raises:
        InputError: the file is missing or has no rows.
        DatasetError: a row is wrong.
    """
    rows = sum(1 for _ in read_examples(path, hierarchy))
    if not rows:
        raise InputError(f"{path} has no rows; there is nothing to evaluate")
    return LabelledFile(path, rows)


def measure(
    classifier: Classifier, train: LabelledFile | None, dev: LabelledFile, bad_cases: IO[bytes], measures_train: bool
) -> dict[str, Any]:
    """Compare a classifier's answers with the labels of two files.

    Args:
        classifier: the model.
        train, dev: only the scores of single labels are measured on train, everything else on dev alone.
        bad_cases: takes a header line and then a line per wrong row of dev: prediction, labels and text, with a tab
            between them; label paths are joined by commas. A row without a prediction begins with the tab.
        measures_train: measure train too; or else only count its rows.

    Returns:
        Values that JSON can hold, scores in [0, 1]:

        - file: the name of dev.
        - train_rows, rows: of train and of dev; train_measured: whether train was.
        - decoding: how label sets were made; see `pipeline.labels.decoding.DecodingPolicy`.
        - reading: how much of dev's texts the model reads, see `training.data.reading.Reading`; None if not known.
        - summary: averages of `metrics.sets.Metrics.result` and `metrics.scores.ScoreMetrics.summary`, and
          answered_calibration_error, of the confidences that answered labels are told with.
        - levels: per level its number of labels, averages and accuracy.
        - labels: per label path its level and threshold, and on train and on dev support, precision, recall and F1,
          None for what was not measured.
        - few_rows: a label with fewer training rows is hardly learnt.
        - threshold_curve, calibration: see `pipeline.metrics.scores.ScoreMetrics`.
        - uncalibrated: both calibration errors, and calibration, of the same label sets with the model's scores as they
          are without its calibration; None where it has none.
        - found_here: of `calibration` and `promises` what the model has that was found on dev itself, as far as name
          and number of rows tell.
        - promised: how the model's promises are kept, see `training.confidence.kept`; None where it makes none.
        - confusions: the most frequent pairs of `pipeline.metrics.confused_pairs.ConfusedPairs`.
        - bad_cases: how many rows of dev are wrong, and the first of them, long texts cut.

    Raises:
        InputError: a file changed after it was checked.
        ClassifierError: the model's scores are not finite.
    """
    seen = _of_train(classifier, train, measures_train)
    on_dev = _of_dev(classifier, dev, bad_cases)
    return {
        "file": dev.path.name,
        "train_rows": train.rows if train else 0,
        "train_measured": bool(train and measures_train),
        "decoding": classifier.decoder.policy.to_json(),
        **on_dev,
        "found_here": _found_on(classifier, (dev.path.name, dev.rows)),
        "labels": _labels(classifier, seen, on_dev["labels"]),
        "few_rows": FEW_ROWS,
    }


def _of_dev(classifier: Classifier, dev: LabelledFile, bad_cases: IO[bytes]) -> dict[str, Any]:
    """What `measure` says of dev alone, and per label its scores as `labels`."""
    hierarchy = classifier.hierarchy
    metrics, scores, confused = Metrics(hierarchy), ScoreMetrics(len(hierarchy)), ConfusedPairs(hierarchy)
    cases, sample, answered = BadCases(bad_cases), _Sample(dev.rows), Reliability()
    before, promises = _Uncalibrated(classifier.decoder), KeptPromises(classifier.decoder, dev.rows)
    for chunk in _chunks(classifier, dev):
        selected, confidences = chunk.decoded.selected, chunk.decoded.confidences
        metrics.update(chunk.actual, selected)
        scores.update(chunk.actual, chunk.decoded.scores)
        answered.update(chunk.actual[selected], confidences[selected])
        before.update(chunk)
        promises.update(chunk.actual, classifier.decoder.credited(chunk.decoded))
        confused.update(chunk.actual, selected)
        cases.update(chunk)
        sample.update(chunk)
    result = metrics.result()
    levels = result.pop("levels")
    return {
        "rows": result.pop("texts"),
        "reading": _reading(sample.texts, classifier.encoder),
        "summary": {**result, **scores.summary(), "answered_calibration_error": answered.error()},
        "levels": _levels(hierarchy, levels),
        "labels": metrics.per_label(),
        "threshold_curve": scores.threshold_curve(),
        "calibration": scores.calibration(),
        "uncalibrated": before.figures(),
        "promised": promises.figures(),
        "confusions": [asdict(pair) for pair in confused.most_common(CONFUSIONS)],
        "bad_cases": {"total": cases.total, "shown": cases.shown},
    }


def _found_on(classifier: Classifier, file: tuple[str, int]) -> list[str]:
    decoder = classifier.decoder
    found = {
        "calibration": decoder.calibration is not None and classifier.chosen_on == file,
        "promises": file in [(promise.rests_on, promise.rows) for promise in decoder.promises],
    }
    return [name for name, here in found.items() if here]


def _reading(texts: Sequence[str], encoder: TextEncoder | None) -> dict[str, Any] | None:
    return asdict(measure_reading(texts, encoder)) if encoder and encoder.reads_tokens else None


def _of_train(classifier: Classifier, train: LabelledFile | None, measured: bool) -> list[dict[str, Any] | None]:
    """Per label its scores on train, or its support alone."""
    hierarchy = classifier.hierarchy
    if train is None:
        return [None] * len(hierarchy)
    if measured:
        metrics = Metrics(hierarchy)
        for chunk in _chunks(classifier, train):
            metrics.update(chunk.actual, chunk.decoded.selected)
        return list(metrics.per_label())
    support = [0] * len(hierarchy)
    for example in read_examples(train.path, hierarchy):
        for position in example.labels:
            support[position] += 1
    return [{"support": rows, "precision": None, "recall": None, "f1": None} for rows in support]


def _levels(hierarchy: LabelHierarchy, levels: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    return [
        {"level": int(level), "labels": int((hierarchy.levels == int(level)).sum()), **averages}
        for level, averages in levels.items()
    ]


def _labels(
    classifier: Classifier, train: Sequence[dict[str, Any] | None], dev: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    hierarchy, thresholds = classifier.hierarchy, classifier.decoder.thresholds
    return [
        {"label": label, "level": int(level), "threshold": round(float(threshold), 6), "train": seen, "dev": held_out}
        for label, level, threshold, seen, held_out in zip(hierarchy.labels, hierarchy.levels, thresholds, train, dev)
    ]


class _Uncalibrated:
    """What a calibrated model's scores would be worth without its calibration."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder, self._all, self._answered = decoder, Reliability(), Reliability()

    def update(self, chunk: _Chunk) -> None:
        if not self._decoder.calibration:
            return
        scores, selected = sigmoid(chunk.logits), chunk.decoded.selected
        self._all.update(chunk.actual, scores)
        self._answered.update(chunk.actual[selected], self._decoder.confidences(scores, selected)[selected])

    def figures(self) -> dict[str, Any] | None:
        if not self._decoder.calibration:
            return None
        return {
            "calibration_error": self._all.error(),
            "answered_calibration_error": self._answered.error(),
            "calibration": self._all.table(),
        }


class _Sample:
    """Of a file's texts, up to SAMPLED_TEXTS, from its beginning to its end."""

    def __init__(self, rows: int) -> None:
        self.texts: list[str] = []
        self._step, self._done = -(-rows // SAMPLED_TEXTS), 0

    def update(self, chunk: _Chunk) -> None:
        first = -self._done % self._step
        self.texts += [example.text for example in chunk.examples[first :: self._step]]
        self._done += len(chunk.examples)


class _Chunk(NamedTuple):
    """Some rows of a file and the classifier's answers; arrays are [rows, labels]."""

    examples: list[Example]
    actual: np.ndarray  # bool
    logits: np.ndarray  # float32
    decoded: Decoded


def _chunks(classifier: Classifier, file: LabelledFile) -> Iterator[_Chunk]:
    hierarchy = classifier.hierarchy
    examples, done = read_examples(file.path, hierarchy), 0
    parts = chunks(examples, rows_per_chunk(len(hierarchy)), CHARACTERS_PER_CHUNK, lambda example: len(example.text))
    announce(f"classifying {counted(file.rows, 'row')} of {file.path.name}")
    with tqdm(total=file.rows, desc=file.path.name, leave=False, disable=not sys.stderr.isatty()) as bar:
        for chunk in parts:
            try:
                logits = classifier.logits([example.text for example in chunk])
                decoded = classifier.decoder.decode(logits)
            except ClassifierError as error:
                raise type(error)(f"{file.path}, rows {done + 1} to {done + len(chunk)}: {error}") from error
            actual = hierarchy.matrix([example.labels for example in chunk])
            yield _Chunk(chunk, actual, logits, decoded)
            done += len(chunk)
            bar.update(len(chunk))
    if done != file.rows:
        raise InputError(f"{file.path} had {file.rows} rows and then {done}; evaluate it while nothing writes to it")


class BadCases:
    """Writes the rows whose label set is wrong as they come, and keeps the first of them to show.

    Args:
        stream: where they are written; the header at once.

    Attributes:
        total: wrong rows.
        shown: of the first SHOWN_CASES of them the text, at most SHOWN_CHARACTERS of it; labels in the hierarchy's
            order; predictions with confidence, at most SHOWN_PREDICTIONS, most confident first.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self.total = 0
        self.shown: list[dict[str, Any]] = []
        self._stream = stream
        self._write(*BAD_CASE_HEADER)

    def update(self, chunk: _Chunk) -> None:
        """Add a chunk; its right rows are passed over."""
        decoded = chunk.decoded
        paths = decoded.hierarchy.labels
        wrong = np.flatnonzero((chunk.actual ^ decoded.selected).any(axis=1))
        for row in wrong:
            predicted = (paths[position] for position in np.flatnonzero(decoded.selected[row]))
            labels = (paths[position] for position in chunk.examples[row].labels)
            self._write(join_labels(predicted), join_labels(labels), chunk.examples[row].text)
        self.total += len(wrong)
        shown = wrong[: SHOWN_CASES - len(self.shown)]
        answers = decoded.part(shown).predictions()
        for row, predictions in zip(shown, answers):
            self.shown.append(
                {
                    "text": shortened(chunk.examples[row].text, SHOWN_CHARACTERS),
                    "labels": [paths[position] for position in chunk.examples[row].labels],
                    "predictions": [prediction._asdict() for prediction in predictions[:SHOWN_PREDICTIONS]],
                }
            )

    def _write(self, *fields: str) -> None:
        self._stream.write(("\t".join(map(as_cell, fields)) + "\n").encode())
