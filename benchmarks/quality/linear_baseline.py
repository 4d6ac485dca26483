"""The baseline that every trained model is held against: TF-IDF and a linear SVM per label path.

    python -m benchmarks.quality.linear_baseline --dataset_dir data/sample
    python -m benchmarks.quality.linear_baseline --dataset_dir data/sample --output_file linear.jsonl

It takes seconds to train and needs no pretrained weights, so a neural model has to earn its place against it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from pipeline.command import run
from pipeline.errors import InputError
from pipeline.files.atomic import atomic_writer
from pipeline.files.chunks import chunks, rows_per_chunk
from pipeline.files.dataset import (
    DATA_FILE,
    DEV_FILE,
    LABEL_FILE,
    TRAIN_FILE,
    Example,
    evaluation_file,
    read_examples,
    read_labels,
    read_texts,
)
from pipeline.labels.decoding import Prediction
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.metrics.sets import Metrics
from pipeline.options import Options, option, parse
from pipeline.output import as_json_line
from pipeline.text.normalisation import normalise
from training.analysis.evidence.linear_model import tfidf_vectoriser

REGULARISATIONS = (1.0, 4.0)
MARGINS = tuple(round(-step / 20, 2) for step in range(21))
"""From 0 to -1, where no label counts: sets with many labels want -0.5 and less."""
TOLERANCE = 0.01
"""Of liblinear; with scikit-learn's 0.0001 it takes longer, and micro F1 on dev is the same to 0.02 points."""
MENTIONED = 0.001
NEVER, ALWAYS = -10.0, 10.0
"""The margins of a label that no training row has, and of one that all have: there is nothing to separate."""


class LinearBaseline:
    """A fitted baseline.

    Chosen for the best micro F1 on dev are the regularisation C and the margin from which a label counts. Every text
    gets at least one label, and labels bring their ancestors.

    Attributes:
        regularisation, margin: what was chosen.

    Raises:
        InputError: there are no rows to train on, or none to choose by.
    """

    def __init__(self, train: Sequence[Example], dev: Sequence[Example], hierarchy: LabelHierarchy) -> None:
        if not train or not dev:
            raise InputError("the linear baseline needs a row to train on and one to choose its margin by")
        self.hierarchy = hierarchy
        texts = _texts(train)
        self._vectoriser = tfidf_vectoriser(texts)
        features = self._vectoriser.fit_transform(texts)
        dev_features, dev_labels = self._vectoriser.transform(_texts(dev)), _matrix(dev, hierarchy)
        labels = _matrix(train, hierarchy)
        best = -1.0
        for regularisation in REGULARISATIONS:
            planes = _separate(features, labels, regularisation)
            distances = _distances(dev_features, *planes)
            for margin in MARGINS:
                f1 = self._score(dev_labels, distances, margin)["micro_f1"]
                if f1 > best:
                    best, self.regularisation, self.margin, self._planes = f1, regularisation, margin, planes
        distances = _distances(dev_features, *self._planes)
        self._calibration = None
        if dev_labels.any() and not dev_labels.all():
            self._calibration = LogisticRegression(C=1e6).fit(distances.reshape(-1, 1), dev_labels.ravel())

    def margins(self, texts: Sequence[str]) -> np.ndarray:
        """float64 [texts, labels], distances from each label's separating plane."""
        return _distances(self._vectoriser.transform([normalise(text) for text in texts]), *self._planes)

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """float64 [texts, labels]: margins turned into probabilities by a logistic curve fitted on dev (Platt 1999).

        Where every row of dev has every label, there is nothing to fit, and the curve is the plain sigmoid.
        """
        margins = self.margins(texts)
        if self._calibration is None:
            return expit(margins)
        return self._calibration.predict_proba(margins.reshape(-1, 1))[:, 1].reshape(margins.shape)

    def score(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Scores as in `pipeline.metrics.sets.Metrics.result`."""
        margins = self.margins([example.text for example in examples])
        return self._score(_matrix(examples, self.hierarchy), margins, self.margin)

    def _score(self, actual: np.ndarray, margins: np.ndarray, margin: float) -> dict[str, Any]:
        predicted = margins >= margin
        predicted[np.arange(len(predicted)), margins.argmax(axis=1)] = True
        metrics = Metrics(self.hierarchy)
        metrics.update(actual, self.hierarchy.raise_ancestors(predicted))
        return metrics.result()


def _separate(features: Any, labels: np.ndarray, regularisation: float) -> tuple[np.ndarray, np.ndarray]:
    """Each label's plane: float64 weights [features, labels] and offsets [labels]."""
    weights, offsets = np.zeros((features.shape[1], labels.shape[1])), np.full(labels.shape[1], NEVER)
    offsets[labels.all(axis=0)] = ALWAYS
    for position in np.flatnonzero(labels.any(axis=0) & ~labels.all(axis=0)):
        machine = LinearSVC(random_state=0, C=regularisation, tol=TOLERANCE).fit(features, labels[:, position])
        weights[:, position], offsets[position] = machine.coef_[0], machine.intercept_[0]
    return weights, offsets


def _distances(features: Any, weights: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    return features @ weights + offsets


def fit_baseline(folder: Path, hierarchy: LabelHierarchy) -> LinearBaseline:
    """The baseline for a dataset folder's train.txt and dev.txt."""
    train, dev = (list(read_examples(folder / name, hierarchy)) for name in (TRAIN_FILE, DEV_FILE))
    return LinearBaseline(train, dev, hierarchy)


def evaluate_baseline(folder: Path, hierarchy: LabelHierarchy) -> dict[str, Any]:
    """Scores on a dataset folder's test.txt (dev.txt where there is none), see `pipeline.metrics.sets.Metrics`."""
    return fit_baseline(folder, hierarchy).score(list(read_examples(evaluation_file(folder), hierarchy)))


def write_probabilities(baseline: LinearBaseline, texts: Iterable[str], path: Path) -> None:
    """Write the labels' probabilities of at least MENTIONED for each text, as `train.py --teachers` reads them."""
    labels = baseline.hierarchy.labels
    with atomic_writer(path) as stream:
        for chunk in chunks(texts, rows_per_chunk(len(labels))):
            for text, row in zip(chunk, baseline.probabilities(chunk)):
                mentioned = sorted(np.flatnonzero(row >= MENTIONED), key=lambda position: -row[position])
                answer = [Prediction(labels[position], float(row[position])) for position in mentioned]
                stream.write(f"{as_json_line(text, answer)}\n".encode())


def _texts(examples: Sequence[Example]) -> list[str]:
    return [normalise(example.text) for example in examples]


def _matrix(examples: Sequence[Example], hierarchy: LabelHierarchy) -> np.ndarray:
    return hierarchy.matrix([example.labels for example in examples])


@dataclass(frozen=True)
class LinearBaselineOptions(Options):
    """What it learns from, and what it predicts."""

    dataset_dir: Path = option(help="folder with train.txt, dev.txt and label.txt")
    data_file: str = option(DATA_FILE, "texts in --dataset_dir for --output_file")
    output_file: Path | None = option(None, "JSON lines that the labels' probabilities for --data_file are written to")


def measure(options: LinearBaselineOptions) -> dict[str, Any]:
    """Train, write the probabilities if that is asked for, and score; raises InputError for files as they are read."""
    folder = options.dataset_dir
    hierarchy = read_labels(folder / LABEL_FILE)
    started = time.monotonic()
    baseline = fit_baseline(folder, hierarchy)
    if options.output_file:
        write_probabilities(baseline, read_texts(folder / options.data_file), options.output_file)
    scores = baseline.score(list(read_examples(evaluation_file(folder), hierarchy)))
    chosen = {name: round(scores[name], 4) for name in ("micro_f1", "macro_f1", "accuracy", "consistent_share")}
    return {**chosen, "texts": scores["texts"], "seconds": round(time.monotonic() - started, 1)}


def parse_args(argv: Sequence[str] | None) -> LinearBaselineOptions:
    return parse(LinearBaselineOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    print(json.dumps(measure(parse_args(argv))))


if __name__ == "__main__":
    run(main)
