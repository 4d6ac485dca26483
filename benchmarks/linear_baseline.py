"""The baseline that every trained model is held against: TF-IDF and a linear SVM per label path.

    python -m benchmarks.linear_baseline --dataset_dir data/sample

It takes seconds to train and needs no pretrained weights, so a neural model has to earn its place against it.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import LinearSVC

from pipeline.command import run
from pipeline.dataset import DEV_FILE, LABEL_FILE, TEST_FILE, TRAIN_FILE, Example, read_examples, read_labels
from pipeline.hierarchy import LabelHierarchy
from pipeline.metrics import Metrics
from pipeline.normalisation import normalise

_CJK = re.compile(r"[\u4e00-\u9fff]")


def evaluate_baseline(train_path: Path, test_path: Path, hierarchy: LabelHierarchy) -> dict[str, Any]:
    """Train on one labelled file, predict another, ancestors added; scores as in `Metrics.result`."""
    train = list(read_examples(train_path, hierarchy))
    test = list(read_examples(test_path, hierarchy))
    vectoriser = _vectoriser(train)
    classifier = OneVsRestClassifier(LinearSVC(random_state=0))
    classifier.fit(vectoriser.fit_transform(_texts(train)), _matrix(train, hierarchy).astype(np.int8))
    predicted = classifier.predict(vectoriser.transform(_texts(test))).astype(bool)
    metrics = Metrics(hierarchy)
    metrics.update(_matrix(test, hierarchy), hierarchy.raise_ancestors(predicted))
    return metrics.result()


def _vectoriser(train: Sequence[Example]) -> TfidfVectorizer:
    """Characters and their pairs and triples for Chinese, words and word pairs for the rest."""
    chinese = sum(bool(_CJK.search(example.text)) for example in train[:200]) > 100
    if chinese:
        return TfidfVectorizer(analyzer="char", ngram_range=(1, 3), min_df=2, sublinear_tf=True)
    return TfidfVectorizer(analyzer="word", ngram_range=(1, 2), min_df=2, sublinear_tf=True)


def _texts(examples: Sequence[Example]) -> list[str]:
    return [normalise(example.text) for example in examples]


def _matrix(examples: Sequence[Example], hierarchy: LabelHierarchy) -> np.ndarray:
    return hierarchy.matrix([example.labels for example in examples])


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--dataset_dir", required=True, help="a dataset folder")
    parser.add_argument("--test_file", help=f"the rows to predict (default: {TEST_FILE}, else {DEV_FILE})")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    folder = Path(args.dataset_dir)
    test_file = args.test_file or (TEST_FILE if (folder / TEST_FILE).exists() else DEV_FILE)
    started = time.monotonic()
    scores = evaluate_baseline(folder / TRAIN_FILE, folder / test_file, read_labels(folder / LABEL_FILE))
    chosen = {name: round(scores[name], 4) for name in ("micro_f1", "macro_f1", "accuracy", "consistent_share")}
    print(json.dumps({**chosen, "texts": scores["texts"], "seconds": round(time.monotonic() - started, 1)}))


if __name__ == "__main__":
    run(main)
