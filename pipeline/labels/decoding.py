"""Decoding: logits -> sigmoid -> per-label thresholds -> a hierarchy-consistent set of label paths.

The policies:

- `threshold`: every label whose score reaches its threshold. Sets may be inconsistent.
- `ancestors`: a label that reaches its threshold brings its ancestors along.
- `top_down`: a label counts only when all its ancestors reach their thresholds too.
- `single_path`: of the paths that `ancestors` finds, the one whose scores have the highest geometric mean.

All but `threshold` also make the confidences consistent, so that a parent is never less confident than its child:
`top_down` caps the child's, the others raise the parent's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from dataclasses import fields as dataclass_fields
from typing import Any, NamedTuple

import numpy as np

from pipeline.errors import ClassifierError, InputError
from pipeline.labels.hierarchy import LabelHierarchy

DEFAULT_THRESHOLD = 0.5
POLICIES = ("threshold", "ancestors", "top_down", "single_path")


class Prediction(NamedTuple):
    """One predicted label path and its confidence in [0, 1]."""

    label: str
    confidence: float


class Answer(list[Prediction]):
    """What one text is answered: its label paths, most confident first.

    Attributes:
        truncated: whether the text is longer than the model reads, so that only its beginning was classified; None
            where the server is of an earlier release, which does not tell.
    """

    def __init__(self, predictions: Iterable[Prediction] = (), truncated: bool | None = None) -> None:
        super().__init__(predictions)
        self.truncated = truncated


@dataclass(frozen=True)
class DecodingPolicy:
    """How scores become label sets.

    Attributes:
        policy: one of POLICIES.
        at_least_one: where nothing reaches its threshold, take the label that comes closest to it (and, unless the
            policy is `threshold`, its ancestors).
        top_k: keep at most that many labels, the most confident ones; None keeps all.

    Raises:
        InputError: an unknown policy, a value of the wrong type, or a `top_k` below 1.
    """

    policy: str = "ancestors"
    at_least_one: bool = False
    top_k: int | None = None

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise InputError(f"unknown decoding policy {self.policy!r}; choose one of {', '.join(POLICIES)}")
        if not isinstance(self.at_least_one, bool):
            raise InputError(f"at_least_one is {self.at_least_one!r}; it must be true or false")
        if self.top_k is not None and (type(self.top_k) is not int or self.top_k < 1):
            raise InputError(f"top_k is {self.top_k!r}; give a whole number of at least 1, or leave it out")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Any) -> DecodingPolicy:
        """What `to_json` gave; raises InputError for anything else, such as a field that this version does not know."""
        if not isinstance(fields, dict):
            raise InputError(f"a JSON object is needed, not {fields!r:.40}")
        if unknown := set(fields) - {field.name for field in dataclass_fields(cls)}:
            raise InputError(f"unknown {min(unknown)!r:.40}")
        return cls(**fields)


@dataclass(frozen=True)
class Decoded:
    """The decoded batch.

    Attributes:
        selected: bool [batch, labels].
        confidences: float32 [batch, labels], zero where not selected.
        scores: float32 [batch, labels], the sigmoid of every logit.
    """

    hierarchy: LabelHierarchy
    selected: np.ndarray
    confidences: np.ndarray
    scores: np.ndarray

    def part(self, rows: slice | np.ndarray) -> Decoded:
        """Some of the rows."""
        return Decoded(self.hierarchy, self.selected[rows], self.confidences[rows], self.scores[rows])

    def ranked(self) -> tuple[np.ndarray, np.ndarray]:
        """Label paths and confidences, most confident first, parents before children where they tie.

        Returns:
            object [batch, K] of str, padded with "", and float32 [batch, K], padded with 0; K is the largest number
            of labels of any row, at least 1.
        """
        order = _ranking(self.hierarchy, self.selected, self.confidences)
        width = max(1, int(self.selected.sum(axis=1).max(initial=0)))
        order = order[:, :width]
        kept = np.take_along_axis(self.selected, order, axis=1)
        labels = np.where(kept, self.hierarchy.label_array[order], "")
        confidences = np.where(kept, np.take_along_axis(self.confidences, order, axis=1), np.float32(0))
        return labels, confidences

    def predictions(self) -> list[list[Prediction]]:
        """Per text its predictions, most confident first."""
        labels, confidences = self.ranked()
        return [
            [Prediction(label, float(confidence)) for label, confidence in zip(*row) if label]
            for row in zip(labels, confidences)
        ]


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)) in float32, without overflow at either end."""
    small = np.exp(-np.abs(logits, dtype=np.float32))
    return np.where(logits >= 0, 1 / (1 + small), small / (1 + small)).astype(np.float32)


def check_thresholds(thresholds: Sequence[float] | np.ndarray, labels: int) -> np.ndarray:
    """float32 [labels] from one threshold for all or one per label.

    Raises:
        InputError: a wrong number of thresholds, or one outside (0, 1).
    """
    values = np.asarray(thresholds, np.float32)
    if values.ndim == 0:
        values = np.full(labels, values, np.float32)
    if values.shape != (labels,):
        raise InputError(f"there are {values.size} thresholds for {labels} labels; give one, or one per label")
    if not ((values > 0) & (values < 1)).all():
        raise InputError(f"threshold {values[~((values > 0) & (values < 1))][0]} lies outside (0, 1)")
    return values


class Decoder:
    """Decodes batches of logits for one hierarchy.

    Args:
        hierarchy: the labels, in the order of the logits' columns.
        thresholds: one for all labels, or float [labels]; a label is on where its score reaches its threshold.
        policy: how label sets are made consistent.

    Raises:
        InputError: thresholds that do not fit.
    """

    def __init__(
        self,
        hierarchy: LabelHierarchy,
        thresholds: float | Sequence[float] | np.ndarray = DEFAULT_THRESHOLD,
        policy: DecodingPolicy = DecodingPolicy(),
    ) -> None:
        self.hierarchy, self.policy = hierarchy, policy
        self.thresholds = check_thresholds(np.asarray(thresholds), len(hierarchy))

    def changed(self, threshold: float | None = None, **policy: Any) -> Decoder:
        """This decoder, but for one threshold for all labels and the named fields of `DecodingPolicy`.

        None leaves what is. Raises InputError as the constructors do.
        """
        chosen = {name: value for name, value in policy.items() if value is not None}
        thresholds = self.thresholds if threshold is None else threshold
        return Decoder(self.hierarchy, thresholds, replace(self.policy, **chosen))

    def in_words(self) -> str:
        """Policy and thresholds in a phrase, such as `policy ancestors, threshold 0.5`."""
        lowest, highest = float(self.thresholds.min()), float(self.thresholds.max())
        said = f"threshold {lowest:g}" if lowest == highest else f"thresholds from {lowest:g} to {highest:g}"
        least = ", at least one label" if self.policy.at_least_one else ""
        most = f", at most {self.policy.top_k} label{'s' * (self.policy.top_k != 1)}" if self.policy.top_k else ""
        return f"policy {self.policy.policy}, {said}{least}{most}"

    def decode(self, logits: np.ndarray) -> Decoded:
        """Decode logits, float [batch, labels].

        Raises:
            InputError: logits of another width.
            ClassifierError: logits that are not finite; the model that made them is broken.
        """
        logits = np.asarray(logits, np.float32)
        if logits.ndim != 2 or logits.shape[1] != len(self.hierarchy):
            raise InputError(f"logits have shape {list(logits.shape)}; expected [batch, {len(self.hierarchy)}]")
        if not np.isfinite(logits).all():
            row = int(np.flatnonzero(~np.isfinite(logits).all(axis=1))[0])
            raise ClassifierError(f"row {row}: the model's logits are not finite; the model or its input is broken")
        scores = sigmoid(logits)
        selected = self._select(scores, logits)
        confidences = self._confidences(scores, selected)
        if self.policy.top_k is not None:
            order = _ranking(self.hierarchy, selected, confidences)[:, self.policy.top_k :]
            np.put_along_axis(selected, order, False, axis=1)
            confidences = np.where(selected, confidences, np.float32(0))
        return Decoded(self.hierarchy, selected, confidences, scores)

    def _select(self, scores: np.ndarray, logits: np.ndarray) -> np.ndarray:
        selected = scores >= self.thresholds
        if self.policy.policy == "top_down":
            selected = self.hierarchy.cap_descendants(selected)
        if self.policy.at_least_one:
            empty = np.flatnonzero(~selected.any(axis=1))
            threshold_logits = np.log(self.thresholds / (1 - self.thresholds))
            selected[empty, np.argmax(logits[empty] - threshold_logits, axis=1)] = True
        if self.policy.policy != "threshold":
            selected = self.hierarchy.raise_ancestors(selected)
        if self.policy.policy == "single_path":
            selected = self._best_path(scores, selected)
        return selected

    def _best_path(self, scores: np.ndarray, selected: np.ndarray) -> np.ndarray:
        ends = selected & ~self.hierarchy.has_child_in(selected)
        log_scores = np.log(np.maximum(scores, np.finfo(np.float32).tiny))
        means = self.hierarchy.path_sums(log_scores) / self.hierarchy.levels
        best = np.argmax(np.where(ends, means, -np.inf), axis=1)
        path = np.zeros_like(selected)
        path[np.arange(len(path)), best] = ends.any(axis=1)
        return self.hierarchy.raise_ancestors(path)

    def _confidences(self, scores: np.ndarray, selected: np.ndarray) -> np.ndarray:
        confidences = np.where(selected, scores, np.float32(0))
        if self.policy.policy == "threshold":
            return confidences
        if self.policy.policy == "top_down":
            return self.hierarchy.cap_descendants(confidences)
        return self.hierarchy.raise_ancestors(confidences)


def _ranking(hierarchy: LabelHierarchy, selected: np.ndarray, confidences: np.ndarray) -> np.ndarray:
    """Positions by falling confidence, then level, then position, those not selected in the row last.

    Returns:
        int [batch, C], where C counts the labels that any row selects, at least 1: most hierarchies are far wider.
    """
    columns = np.flatnonzero(selected.any(axis=0))
    columns = columns if len(columns) else np.array([0])
    columns = columns[np.argsort(hierarchy.levels[columns], kind="stable")]
    keys = np.where(selected[:, columns], -confidences[:, columns], np.inf)
    return columns[np.argsort(keys, axis=1, kind="stable")]
