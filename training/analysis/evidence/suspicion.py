"""How doubtful the labels of each training row are, by cleanlab's confident learning.

Northcutt, Jiang and Chuang 2021; Thyagarajan et al. 2022 for several labels per text. Each label is a yes or no of its
own, judged by the out-of-sample probability of what is given, and a row is as good as its worst label.

The hierarchy adds one question to those that the labels ask: does the path end here? A row that stops at an inner
label where others of its kind go on has, taken label by label, nothing wrong with it; as an answer to this question
it is as unusual as a wrong label.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from cleanlab.multilabel_classification import get_label_quality_scores
from cleanlab.multilabel_classification.filter import find_label_issues

from pipeline.files.dataset import Example
from pipeline.labels.decoding import Decoder, DecodingPolicy
from pipeline.labels.hierarchy import LabelHierarchy
from training.analysis.evidence.linear_model import leave_one_out_probabilities

SUGGESTION_THRESHOLD = 0.3
"""A label is suggested from this probability on."""


class Suspicion(NamedTuple):
    """What a method thinks of each row of a labelled file.

    Attributes:
        scores: float64 [rows], the higher, the more likely a label of the row is wrong.
        suggested: bool [rows, labels], the label set that the method would give, ancestors included.
        issues: how many rows the method itself would call wrong, None where it does not say.
    """

    scores: np.ndarray
    suggested: np.ndarray
    issues: int | None = None


def confident_learning(examples: Sequence[Example], hierarchy: LabelHierarchy, seed: int) -> Suspicion:
    """Judge each row by a linear model of the others.

    Scores are one minus cleanlab's label quality, in [0, 1].
    """
    given = hierarchy.matrix([example.labels for example in examples])
    questions = np.hstack([given, path_ends(hierarchy, given)])
    asked = np.flatnonzero(questions.any(axis=0))
    answers = leave_one_out_probabilities([example.text for example in examples], questions[:, asked], seed)
    lists = [np.flatnonzero(row).tolist() for row in questions[:, asked]]
    quality = get_label_quality_scores(lists, answers, aggregator_kwargs={"method": np.min})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="May not flag all label issues")  # of a label with few rows
        issues = find_label_issues(lists, answers, n_jobs=1)
    probabilities = np.zeros(given.shape, np.float32)
    of_labels = asked < len(hierarchy)
    probabilities[:, asked[of_labels]] = answers[:, of_labels]
    return Suspicion(1 - quality, suggestions(hierarchy, probabilities), int(issues.sum()))


def path_ends(hierarchy: LabelHierarchy, given: np.ndarray) -> np.ndarray:
    """bool [rows, inner labels]: whether the row has that label and none of its children."""
    inner = hierarchy.has_child_in(np.ones((1, len(hierarchy)), bool))[0]
    return (given & ~hierarchy.has_child_in(given))[:, inner]


def suggestions(hierarchy: LabelHierarchy, probabilities: np.ndarray) -> np.ndarray:
    """Label sets, bool [rows, labels], from probabilities [rows, labels]: each has a label, and its ancestors."""
    clipped = np.clip(probabilities, 1e-6, 1 - 1e-6).astype(np.float32)
    decoder = Decoder(hierarchy, SUGGESTION_THRESHOLD, DecodingPolicy("ancestors", at_least_one=True))
    return decoder.decode(np.log(clipped / (1 - clipped))).selected
