"""Answers in the forms that the page and programs of others read."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import numpy as np

from pipeline.errors import InputError
from pipeline.files.feedback import Correction
from pipeline.labels.decoding import Answer
from pipeline.served import ServedModel
from pipeline.text.normalisation import check_text, surrogate_fault
from serving.console.answering import MOST_TEXTS, Described
from serving.console.schemas import (
    Classify,
    Judgement,
    TeiPredict,
    VllmClassify,
    answer_fields,
)

MOST_EXPLAINED = 16
"""Texts of a request."""
MOST_SCORES = 1 << 18
"""Texts times labels, of an answer with the score of every label."""
LOWEST_THRESHOLD = 0.01
"""That the page offers: scores below it are not sent to it."""


def describe(described: Described) -> dict[str, Any]:
    """A model, for the page."""
    served = described.model
    hierarchy = served.hierarchy
    ways: dict[int, list[str]] = {}
    for path, column in zip(hierarchy.paths, hierarchy.path_columns.tolist()):
        ways.setdefault(column, []).append(path)
    return {
        "source": described.source,
        "version": served.version,
        "bundle": served.bundle,
        "published": served.published,
        "model": served.model,
        "labels": served.labels,
        "parents": [hierarchy.parents_of(column) for column in range(len(hierarchy))],
        "levels": hierarchy.levels.tolist(),
        "paths": {column: paths for column, paths in ways.items() if len(paths) > 1},
        "thresholds": served.thresholds,
        "decoding": served.decoding.to_json() if served.decoding else None,
        "promises": [
            {"precision": promise.precision, "thresholds": promise.thresholds(hierarchy.levels).clip(None, 2).tolist()}
            for promise in served.promises
        ],
        "lowest_threshold": LOWEST_THRESHOLD,
    }


def readable(texts: list[str]) -> list[str]:
    """The texts; raises InputError for one that no server could be sent."""
    for row, text in enumerate(texts):
        if fault := surrogate_fault(text):
            raise InputError(f"row {row}: {fault}")
    return texts


def texts_to_classify(request: Classify) -> list[str]:
    """Its texts; raises InputError where too many are to be explained."""
    asked = len(readable(request.texts))
    if request.explain and asked > MOST_EXPLAINED:
        raise InputError(f"{asked} texts are to be explained; ask for at most {MOST_EXPLAINED} at once")
    return request.texts


def as_scored(
    answers: Sequence[Answer], scores: np.ndarray, served: ServedModel, bins: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """The fields of `ScoredAnswers`, which pydantic would take as long to check as a small model to answer.

    Of scores, float32 [texts, labels], those that the page may come to need; and `bins`, str [texts].
    """
    rows = []
    for place, (answer, row, counts) in enumerate(zip(answers, scores, _that_can_count(scores, served))):
        columns = np.flatnonzero(counts)
        # So many digits tell every float32 from its next.
        given = [float(f"{score:.9g}") for score in row[columns].tolist()]
        own = {feature: str(each[place]) for feature, each in bins.items()}
        rows.append({**answer_fields(answer), "columns": columns.tolist(), "scores": given, "bins": own})
    return {"answers": rows, "bundle": served.bundle}


def _that_can_count(scores: np.ndarray, served: ServedModel) -> np.ndarray:
    """bool [texts, labels]: what may be answered with a threshold from LOWEST_THRESHOLD on, and its ancestors."""
    margins = _logits(scores) - _logits(np.asarray(served.thresholds, np.float32))
    lowest = np.min([LOWEST_THRESHOLD, *(cutoff for promise in served.promises for cutoff in promise.cutoffs)])
    counts = (scores >= lowest) | (margins >= 0) | (scores == scores.max(axis=1, keepdims=True))
    counts[np.arange(len(scores)), margins.argmax(axis=1)] = True
    return served.hierarchy.raise_ancestors(counts)


def _logits(scores: np.ndarray) -> np.ndarray:
    """float32, of scores in [0, 1]; finite."""
    near = np.finfo(np.float32).eps
    scores = scores.clip(near, 1 - near)
    return np.log(scores / (1 - scores))


def vllm_texts(request: VllmClassify) -> list[str]:
    """The texts; raises InputError for too many, or none."""
    return _counted("input", [request.input] if isinstance(request.input, str) else request.input)


def as_vllm(scores: np.ndarray, served: ServedModel) -> dict[str, Any]:
    """Scores, float32 [texts, labels], as vLLM answers them."""
    data = [
        {"index": row, "label": served.labels[int(np.argmax(each))], "probs": each.tolist(), "num_classes": len(each)}
        for row, each in enumerate(scores)
    ]
    identity = f"classify-{secrets.token_hex(8)}"
    return {"id": identity, "object": "list", "created": int(time.time()), "model": served.model, "data": data}


def tei_texts(request: TeiPredict) -> tuple[list[str], bool]:
    """The texts, and whether it was one alone; raises InputError for pairs, which only other models take."""
    given = request.inputs
    if isinstance(given, str):
        return readable([given]), True
    if all(isinstance(each, list) and len(each) == 1 and isinstance(each[0], str) for each in given):
        return _counted("inputs", [each[0] for each in given]), False
    raise InputError('inputs holds pairs of texts, which this model does not take; give "text" or [["text"], ["text"]]')


def as_tei(scores: np.ndarray, served: ServedModel, raw: bool) -> list[list[dict[str, Any]]]:
    """Scores, float32 [texts, labels], or their logits, as text-embeddings-inference answers them."""
    return [
        [{"label": served.labels[each], "score": float(row[each])} for each in np.argsort(-row, kind="stable")]
        for row in (_logits(scores) if raw else scores)
    ]


def who_judges(judgement: Judgement, caller: str | None) -> str:
    """The name that a judgement is kept by; raises InputError where none is given, or another than the proxy's."""
    if caller is None and judgement.who is None:
        raise InputError("who is missing; give a name, by which several people are told apart")
    if caller is not None and judgement.who not in (None, caller):
        raise InputError(f"who is {judgement.who!r:.80}, and the proxy says {caller!r:.80}; leave out who")
    return caller or judgement.who or ""


def correction(judgement: Judgement, who: str, served: ServedModel, when: datetime | None = None) -> Correction:
    """What is kept of a judgement, said `when` or now; raises InputError for an unknown label, or what is no text."""
    check_text(judgement.text, 0)
    for label in (*judgement.answered, *(judgement.labels or ())):
        if label not in served.hierarchy:
            raise InputError(f"{label!r:.80} is no label of the model; choose one of GET /model")
    labels = None if judgement.labels is None else tuple(judgement.labels)
    said = (when or datetime.now(timezone.utc)).astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return Correction(said, who, judgement.bundle, judgement.text, tuple(judgement.answered), labels)


def _counted(field: str, texts: list[str]) -> list[str]:
    if not 1 <= len(texts) <= MOST_TEXTS:
        raise InputError(f"{field} holds {len(texts)} texts; give 1 to {MOST_TEXTS}")
    return readable(texts)


def check_size(texts: Sequence[str], served: ServedModel) -> None:
    """Raise InputError where the scores of all labels are too many for one answer."""
    most = max(1, MOST_SCORES // len(served.labels))
    if len(texts) > most:
        raise InputError(
            f"{len(texts)} texts get {len(served.labels):,} scores each; ask for at most {most} of them at once"
        )
