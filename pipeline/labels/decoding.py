"""Decoding: logits -> calibration -> sigmoid -> per-label thresholds -> a hierarchy-consistent set of label paths.

The policies:

- `threshold`: every label whose score reaches its threshold. Sets may be inconsistent.
- `ancestors`: a label that reaches its threshold brings its ancestors along.
- `top_down`: a label counts only when all its ancestors reach their thresholds too, by all of its parents.
- `single_path`: of the paths that `ancestors` finds, the one whose scores have the highest geometric mean. In a graph a
  path is a label and all its ancestors, by all of its parents: whatever ways lead down to one label.

All but `threshold` also make the confidences consistent, so that a parent is never less confident than its child:
`top_down` caps the child's, the others raise the parent's.

With all but `threshold`, a leading label that reaches its threshold, the model's own as well as one that was asked for,
lends its ancestors what they lack of theirs, and `single_path` takes it before others.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from dataclasses import fields as dataclass_fields
from typing import Any

import numpy as np

from pipeline.errors import ClassifierError, InputError
from pipeline.labels.answers import Answer
from pipeline.labels.calibration import Calibration
from pipeline.labels.decoded import Decoded, ranking
from pipeline.labels.explanation import Explanation
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.labels.leading import Leading
from pipeline.labels.promises import Promise, check_promises, chosen_promise, highest_promised
from pipeline.labels.scores import check_thresholds, sigmoid

DEFAULT_THRESHOLD = 0.5
POLICIES = ("threshold", "ancestors", "top_down", "single_path")


@dataclass(frozen=True)
class DecodingPolicy:
    """How scores become label sets.

    Attributes:
        policy: one of POLICIES.
        at_least_one: where nothing reaches its threshold, take the label that comes closest to it (and, unless the
            policy is `threshold`, its ancestors).
        top_k: keep at most that many labels, the most confident ones; None keeps all.
        leading: label paths that go before others, see `pipeline.labels.leading`.

    Raises:
        InputError: an unknown policy, a value of the wrong type, or a `top_k` below 1.
    """

    policy: str = "ancestors"
    at_least_one: bool = False
    top_k: int | None = None
    leading: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise InputError(f"unknown decoding policy {self.policy!r}; choose one of {', '.join(POLICIES)}")
        if not isinstance(self.at_least_one, bool):
            raise InputError(f"at_least_one is {self.at_least_one!r}; it must be true or false")
        if self.top_k is not None and (type(self.top_k) is not int or self.top_k < 1):
            raise InputError(f"top_k is {self.top_k!r}; give a whole number of at least 1, or leave it out")
        if not isinstance(self.leading, tuple) or not all(isinstance(label, str) for label in self.leading):
            raise InputError(f"leading is {self.leading!r:.40}; it is a list of label paths")

    def to_json(self) -> dict[str, Any]:
        """The fields; without `leading`, which older versions do not know, where there are none."""
        return {name: value for name, value in asdict(self).items() if name != "leading" or value}

    @classmethod
    def from_json(cls, fields: Any) -> DecodingPolicy:
        """What `to_json` gave; raises InputError for anything else, such as a field that this version does not know."""
        if not isinstance(fields, dict):
            raise InputError(f"a JSON object is needed, not {fields!r:.40}")
        if unknown := set(fields) - {field.name for field in dataclass_fields(cls)}:
            raise InputError(f"unknown {min(unknown)!r:.40}")
        leading = fields.get("leading", ())
        return cls(**{**fields, "leading": tuple(leading) if isinstance(leading, list) else leading})


class Decoder:
    """Decodes batches of logits for one hierarchy.

    Args:
        hierarchy: the labels, in the order of the logits' columns.
        thresholds: one for all labels, or float [labels]; a label is on where its score reaches its threshold.
        policy: how label sets are made consistent.
        calibration: what makes probabilities of scores; thresholds are of these.
        promises: precisions that can be promised, the lowest first.

    Raises:
        InputError: thresholds, or a calibration, or promises, that do not fit.
    """

    def __init__(
        self,
        hierarchy: LabelHierarchy,
        thresholds: float | Sequence[float] | np.ndarray = DEFAULT_THRESHOLD,
        policy: DecodingPolicy = DecodingPolicy(),
        calibration: Calibration | None = None,
        promises: Sequence[Promise] = (),
    ) -> None:
        if calibration and len(calibration) != len(hierarchy):
            raise InputError(f"the calibration is of {len(calibration)} labels, and there are {len(hierarchy)}")
        check_promises(promises, hierarchy.depth)
        self.hierarchy, self.policy, self.calibration, self.promises = hierarchy, policy, calibration, tuple(promises)
        self.thresholds = check_thresholds(np.asarray(thresholds), len(hierarchy))
        self._leading, self._by_promise = Leading(hierarchy, self.thresholds, policy.leading), False

    def changed(self, threshold: float | None = None, **policy: Any) -> Decoder:
        """This decoder, but for one threshold for all labels and the named fields of `DecodingPolicy`.

        None leaves what is; so does a lower threshold what leads. Raises InputError as the constructors do.
        """
        chosen = {name: value for name, value in policy.items() if value is not None}
        thresholds = self.thresholds if threshold is None else threshold
        own = (self.calibration, self.promises)
        decoder = Decoder(self.hierarchy, thresholds, replace(self.policy, **chosen), *own)
        decoder._leading = Leading(self.hierarchy, decoder.thresholds, decoder.policy.leading, self._leading.own)
        return decoder

    def as_own(self) -> Decoder:
        """This decoder as that of a model, whose own thresholds are those that were asked for."""
        return Decoder(self.hierarchy, self.thresholds, self.policy, self.calibration, self.promises)

    def promising(self, precision: float) -> Decoder:
        """What answers the labels of a promise alone: none where a text has none, which is to say that it is unsure.

        Raises:
            InputError: the precision is none of `promises`.
        """
        promise = chosen_promise(self.promises, precision)
        own = (self.calibration, self.promises)
        decoder = Decoder(self.hierarchy, DEFAULT_THRESHOLD, DecodingPolicy("top_down"), *own)
        decoder.thresholds, decoder._leading = promise.thresholds(self.hierarchy.levels), self._leading
        decoder._by_promise = True
        return decoder

    def credited(self, decoded: Decoded) -> np.ndarray:
        """The scores that promises are of, float32 [batch, labels], see `pipeline.labels.leading.Leading.credited`."""
        return self._leading.credited(decoded.scores)

    def promised(self, decoded: Decoded) -> np.ndarray:
        """The highest precision that is promised for each answered label, 0 where none is: float32 [batch, K], in the
        order of `Decoded.ranked`."""
        return decoded.in_order(highest_promised(self.promises, self.hierarchy, self.credited(decoded)))

    def selects_as(self, other: Decoder) -> bool:
        """Whether it makes the label sets of any logits that another one of the same labels and calibration does."""
        return self.policy == other.policy and np.array_equal(self.thresholds, other.thresholds)

    def in_words(self) -> str:
        """Policy and thresholds in a phrase, such as `policy ancestors, threshold 0.5`."""
        lowest, highest = float(self.thresholds.min()), float(self.thresholds.max())
        said = f"threshold {lowest:g}" if lowest == highest else f"thresholds from {lowest:g} to {highest:g}"
        least = ", at least one label" if self.policy.at_least_one else ""
        most = f", at most {self.policy.top_k} label{'s' * (self.policy.top_k != 1)}" if self.policy.top_k else ""
        return f"policy {self.policy.policy}, {said}{least}{most}"

    def answers(self, logits: np.ndarray, truncated: Sequence[bool | None]) -> list[Answer]:
        """What each text is answered, by its logits, float [batch, labels]; raises as `decode` does."""
        return self.told(self.decode(logits), truncated)

    def told(
        self, decoded: Decoded, truncated: Sequence[bool | None], why: Sequence[Explanation] | None = None
    ) -> list[Answer]:
        """What each text of a batch that this decoder has decoded is answered, and why where that is known."""
        promised: Iterable[Any] = itertools.repeat(None)
        if self.promises:
            promised = self.promised(decoded)
        return list(map(Answer, decoded.predictions(), truncated, why or itertools.repeat(None), promised))

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
        logits = self.calibrated(logits)
        scores = sigmoid(logits)
        if self._by_promise:
            lent = self._leading.credited(scores)
        else:
            logits = self._leading.lent(logits) if self.policy.policy != "threshold" else logits
            lent = sigmoid(logits) if self.policy.leading else scores
        selected = self._select(lent, logits)
        confidences = self.confidences(lent, selected)
        if self.policy.top_k is not None:
            order = ranking(self.hierarchy.levels, selected, confidences)[:, self.policy.top_k :]
            np.put_along_axis(selected, order, False, axis=1)
            confidences = np.where(selected, confidences, np.float32(0))
        return Decoded(self.hierarchy, selected, confidences, scores)

    def calibrated(self, logits: np.ndarray) -> np.ndarray:
        """float32 [batch, labels], the logits whose sigmoid the scores are, of the model's."""
        return self.calibration(logits) if self.calibration else logits

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
            selected = self._best_path(scores, selected, logits)
        return selected

    def _best_path(self, scores: np.ndarray, selected: np.ndarray, logits: np.ndarray) -> np.ndarray:
        ends = self._leading.before_others(selected & ~self.hierarchy.has_child_in(selected), logits)
        log_scores = np.log(np.maximum(scores, np.finfo(np.float32).tiny))
        path, columns = np.zeros_like(selected), np.flatnonzero(ends.any(axis=0))
        if not len(columns):
            return path
        means = self.hierarchy.path_means(log_scores, columns)
        best = columns[np.argmax(np.where(ends[:, columns], means, -np.inf), axis=1)]
        path[np.arange(len(path)), best] = ends.any(axis=1)
        return self.hierarchy.raise_ancestors(path)

    def confidences(self, scores: np.ndarray, selected: np.ndarray) -> np.ndarray:
        """float32 [batch, labels]: what `selected` labels, bool [batch, labels], are told with; 0 of all others."""
        confidences = np.where(selected, scores, np.float32(0))
        if self.policy.policy == "threshold":
            return confidences
        if self.policy.policy == "top_down":
            return self.hierarchy.cap_descendants(confidences)
        return self.hierarchy.raise_ancestors(confidences)
