"""The baseline that every trained model is held against: TF-IDF and a linear SVM per label path.

    python -m benchmarks.linear_baseline --dataset_dir data/sample

It takes seconds to train and needs no pretrained weights, so a neural model has to earn its place against it.
"""

from __future__ import annotations

import argparse
import json
import re
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import LinearSVC

from pipeline.command import run
from pipeline.dataset import DEV_FILE, LABEL_FILE, TRAIN_FILE, Example, evaluation_file, read_examples, read_labels
from pipeline.hierarchy import LabelHierarchy
from pipeline.metrics import Metrics
from pipeline.normalisation import normalise

REGULARISATIONS = (1.0, 4.0)
MARGINS = (0.0, -0.1, -0.2, -0.3)

_CJK = re.compile(r"[\u4e00-\u9fff]")


def evaluate_baseline(folder: Path, hierarchy: LabelHierarchy) -> dict[str, Any]:
    """Train on a dataset folder's train.txt, choose on dev.txt, and score on test.txt (dev.txt where there is none).

    Chosen for the best micro F1 on dev are the regularisation C and the margin from which a label counts. Every text
    gets at least one label, and labels bring their ancestors.

    Returns:
        Scores as in `pipeline.metrics.Metrics.result`.
    """
    train, dev, test = (
        list(read_examples(path, hierarchy))
        for path in (folder / TRAIN_FILE, folder / DEV_FILE, evaluation_file(folder))
    )
    vectoriser = _vectoriser(train)
    features = vectoriser.fit_transform(_texts(train))
    dev_features = vectoriser.transform(_texts(dev))
    best: tuple[float, OneVsRestClassifier, float] | None = None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Label not .* is present in all training examples")
        for regularisation in REGULARISATIONS:
            classifier = OneVsRestClassifier(LinearSVC(random_state=0, C=regularisation))
            classifier.fit(features, _matrix(train, hierarchy).astype(np.int8))
            margins = classifier.decision_function(dev_features)
            for margin in MARGINS:
                f1 = _score(dev, margins, margin, hierarchy)["micro_f1"]
                if best is None or f1 > best[0]:
                    best = f1, classifier, margin
    assert best is not None
    _, classifier, margin = best
    return _score(test, classifier.decision_function(vectoriser.transform(_texts(test))), margin, hierarchy)


def _score(
    examples: Sequence[Example], margins: np.ndarray, margin: float, hierarchy: LabelHierarchy
) -> dict[str, Any]:
    predicted = margins >= margin
    predicted[np.arange(len(predicted)), margins.argmax(axis=1)] = True
    metrics = Metrics(hierarchy)
    metrics.update(_matrix(examples, hierarchy), hierarchy.raise_ancestors(predicted))
    return metrics.result()


def _vectoriser(train: Sequence[Example]) -> TfidfVectorizer:
    """Characters and their pairs for Chinese, words and word pairs for the rest."""
    chinese = sum(bool(_CJK.search(example.text)) for example in train[:200]) > 100
    if chinese:
        return TfidfVectorizer(analyzer="char", ngram_range=(1, 2), sublinear_tf=True)
    return TfidfVectorizer(analyzer="word", ngram_range=(1, 2), sublinear_tf=True)


def _texts(examples: Sequence[Example]) -> list[str]:
    return [normalise(example.text) for example in examples]


def _matrix(examples: Sequence[Example], hierarchy: LabelHierarchy) -> np.ndarray:
    return hierarchy.matrix([example.labels for example in examples])


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--dataset_dir", required=True, help="a dataset folder")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    folder = Path(args.dataset_dir)
    started = time.monotonic()
    scores = evaluate_baseline(folder, read_labels(folder / LABEL_FILE))
    chosen = {name: round(scores[name], 4) for name in ("micro_f1", "macro_f1", "accuracy", "consistent_share")}
    print(json.dumps({**chosen, "texts": scores["texts"], "seconds": round(time.monotonic() - started, 1)}))


if __name__ == "__main__":
    run(main)
