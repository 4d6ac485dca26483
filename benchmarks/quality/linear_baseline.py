"""The baseline that every trained model is held against: TF-IDF and a linear SVM per label path.

    python -m benchmarks.quality.linear_baseline --dataset_dir data/sample

It takes seconds to train and needs no pretrained weights, so a neural model has to earn its place against it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.command import run
from pipeline.errors import InputError
from pipeline.files.dataset import (
    DEV_FILE,
    LABEL_FILE,
    TRAIN_FILE,
    Example,
    evaluation_file,
    read_examples,
    read_labels,
)
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.options import Options, option, parse
from pipeline.text.normalisation import normalise
from training.analysis.evidence.linear_model import tfidf_vectoriser
from training.linear.fitting import MARGINS, REGULARISATIONS, margin_scores, separate


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
            planes = separate(features, labels, regularisation)
            distances = _distances(dev_features, *planes)
            for margin in MARGINS:
                f1 = margin_scores(hierarchy, dev_labels, distances, margin)["micro_f1"]
                if f1 > best:
                    best, self.regularisation, self.margin, self._planes = f1, regularisation, margin, planes

    def margins(self, texts: Sequence[str]) -> np.ndarray:
        """float64 [texts, labels], distances from each label's separating plane."""
        return _distances(self._vectoriser.transform([normalise(text) for text in texts]), *self._planes)

    def score(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Scores as in `pipeline.metrics.sets.Metrics.result`."""
        margins = self.margins([example.text for example in examples])
        return margin_scores(self.hierarchy, _matrix(examples, self.hierarchy), margins, self.margin)


def _distances(features: Any, weights: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    return features @ weights + offsets


def fit_baseline(folder: Path, hierarchy: LabelHierarchy) -> LinearBaseline:
    """The baseline for a dataset folder's train.txt and dev.txt."""
    train, dev = (list(read_examples(folder / name, hierarchy)) for name in (TRAIN_FILE, DEV_FILE))
    return LinearBaseline(train, dev, hierarchy)


def evaluate_baseline(folder: Path, hierarchy: LabelHierarchy) -> dict[str, Any]:
    """Scores on a dataset folder's test.txt (dev.txt where there is none), see `pipeline.metrics.sets.Metrics`."""
    return fit_baseline(folder, hierarchy).score(list(read_examples(evaluation_file(folder), hierarchy)))


def _texts(examples: Sequence[Example]) -> list[str]:
    return [normalise(example.text) for example in examples]


def _matrix(examples: Sequence[Example], hierarchy: LabelHierarchy) -> np.ndarray:
    return hierarchy.matrix([example.labels for example in examples])


@dataclass(frozen=True)
class LinearBaselineOptions(Options):
    """What it learns from."""

    dataset_dir: Path = option(help="folder with train.txt, dev.txt and label.txt")


def measure(options: LinearBaselineOptions) -> dict[str, Any]:
    """Train and score; raises InputError for files as they are read."""
    folder = options.dataset_dir
    hierarchy = read_labels(folder / LABEL_FILE)
    started = time.monotonic()
    baseline = fit_baseline(folder, hierarchy)
    scores = baseline.score(list(read_examples(evaluation_file(folder), hierarchy)))
    chosen = {name: round(scores[name], 4) for name in ("micro_f1", "macro_f1", "accuracy", "consistent_share")}
    return {**chosen, "texts": scores["texts"], "seconds": round(time.monotonic() - started, 1)}


def parse_args(argv: Sequence[str] | None) -> LinearBaselineOptions:
    return parse(LinearBaselineOptions, argv, __doc__)


def main(argv: Sequence[str] | None = None) -> None:
    print(json.dumps(measure(parse_args(argv))))


if __name__ == "__main__":
    run(main)
