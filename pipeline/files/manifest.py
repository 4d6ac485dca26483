"""What bundle.json says of a model, held against what this version can use."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any, Optional

import numpy as np

from pipeline.errors import InputError
from pipeline.labels.calibration import Calibration
from pipeline.labels.decoding import DecodingPolicy, check_thresholds
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.labels.promises import Promise, check_promises
from pipeline.records import from_fields
from pipeline.text.linear import combined
from pipeline.text.long_texts import FIRST, LongTexts
from pipeline.text.normalisation import MAX_TEXT_CHARACTERS, NORMALISATIONS, text_fault
from pipeline.text.words import SUBWORD, TokeniserSettings

FORMAT_VERSION = 8
"""The newest. A bundle states the oldest that says all of it: 1 knows no tokenizer.json, 2 no linear part, and of a
long text its first tokens alone, 3 no calibration, 4 no graph of labels, 5 no leading labels, 6 no
promise, 7 no training rows, and no promise that reckons with leading labels."""
_LEADING_UNPROMISED = 7
MOST_GOLDENS = 1024
_WIDTH = re.compile(r"1|[1-9]\d{0,3}/[1-9]\d{0,3}", re.ASCII)


@dataclass(frozen=True)
class Golden:
    """A text and the label set that the released model gives it, to check a server with."""

    text: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class LabelGraph:
    """What makes a graph of the labels; see `pipeline.labels.hierarchy.LabelHierarchy`.

    Attributes:
        paths: further paths that answers show labels by.
        edges: further parents, each a parent and a child, by any of their paths.

    Raises:
        InputError: an edge has not two ends, or there is none.
    """

    paths: tuple[str, ...]
    edges: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        if not self.edges or any(len(edge) != 2 for edge in self.edges):
            raise InputError("edges are a list of pairs, a parent and a child each, at least one")

    @classmethod
    def of(cls, hierarchy: LabelHierarchy) -> LabelGraph | None:
        """None where the labels form a forest."""
        if not hierarchy.is_graph:
            return None
        own = set(hierarchy.labels)
        return cls(tuple(path for path in hierarchy.paths if path not in own), hierarchy.edges)


def hierarchy_of(labels: Sequence[str], graph: LabelGraph | None) -> LabelHierarchy:
    """The labels, a forest or a graph; raises InputError where they form none."""
    if graph is None:
        return LabelHierarchy(labels)
    edges = ((edge[0], edge[1]) for edge in graph.edges)
    hierarchy = LabelHierarchy((*labels, *graph.paths), edges)
    for column, label in enumerate(labels):
        if hierarchy.index[label] != column:
            same = labels[hierarchy.index[label]]
            raise InputError(f"graph makes one label of {same!r} and {label!r}, which are two columns")
    return hierarchy


@dataclass(frozen=True)
class Manifest:
    """What bundle.json holds.

    A field that only people read may be added without a new FORMAT_VERSION: readers pass over fields that they do not
    know. Whatever changes an answer needs a new one.

    Attributes:
        labels: the label paths, in the order of the logits' columns.
        thresholds: one per label, in (0, 1).
        decoding: how scores become label sets.
        calibration: what makes probabilities of scores, of which thresholds are; None where nothing does.
        promises: precisions that a request may ask for, the lowest first.
        vocabulary_size: token ids lie below it.
        max_seq_length: tokens that the model takes at once, [CLS] and [SEP] included.
        normalisation: a name of `pipeline.text.normalisation.NORMALISATIONS`.
        tokeniser: the tokeniser's settings; its vocabulary is vocab.txt.
        model_name: what was trained, for people to read.
        metrics: scores by dataset file, e.g. {"dev": {"micro_f1": ...}}.
        goldens: texts with the answers that a server must give.
        width: share of the encoder's heads and neurons that pruning has left, such as 2/3.
        gate: what the release gate measured; `choices` lists the runtimes and precisions that passed, fastest first.
        encoder_weight: what the encoder's logits are multiplied by before those of the linear part are added: 0 where
            it answers alone; None where there is none.
        training: how the model was made, for the model card: its data, its encoder, the licence of its weights.
        long_texts: what is read of texts that have more tokens.
        graph: what makes a graph of the labels; None where they form a forest.
        examples: how many training rows the bundle holds, to show those that are like a text.

    Raises:
        InputError: a value that cannot be used; the message names the field.
    """

    labels: tuple[str, ...]
    thresholds: tuple[float, ...]
    decoding: DecodingPolicy
    vocabulary_size: int
    max_seq_length: int
    normalisation: str
    tokeniser: TokeniserSettings
    model_name: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    goldens: tuple[Golden, ...] = ()
    width: str = "1"
    gate: Mapping[str, Any] = field(default_factory=dict)
    encoder_weight: Optional[float] = None  # noqa: UP045 - Python 3.9 evaluates it
    training: Mapping[str, Any] = field(default_factory=dict)
    long_texts: LongTexts = LongTexts()
    calibration: Optional[Calibration] = None  # noqa: UP045 - Python 3.9 evaluates it
    promises: tuple[Promise, ...] = ()
    graph: Optional[LabelGraph] = None  # noqa: UP045 - Python 3.9 evaluates it
    examples: int = 0

    @cached_property
    def hierarchy(self) -> LabelHierarchy:
        """The labels; raises InputError where they form none."""
        return hierarchy_of(self.labels, self.graph)

    @property
    def most_tokens(self) -> int:
        """Tokens that are read of a text, [CLS] and [SEP] included."""
        return self.long_texts.most_tokens(self.max_seq_length)

    def __post_init__(self) -> None:
        check_thresholds(np.asarray(self.thresholds), len(self.labels))
        if self.calibration and len(self.calibration) != len(self.labels):
            raise InputError(f"calibration is of {len(self.calibration)} labels, and there are {len(self.labels)}")
        check_promises(self.promises, len(self.labels))
        if self.vocabulary_size < 1:
            raise InputError(f"vocabulary_size is {self.vocabulary_size}; a vocabulary has at least one token")
        check_reading(self.normalisation, self.max_seq_length)
        check_width(self.width)
        check_encoder_weight(self.encoder_weight)
        check_kept_texts("goldens", [golden.text for golden in self.goldens])
        self._check_gate()
        known = {*self.labels, *(self.graph.paths if self.graph else ())}
        if unknown := set(self.decoding.leading) - known:
            raise InputError(f"decoding.leading: {min(unknown)!r:.40} is no label of this bundle")
        for number, golden in enumerate(self.goldens):
            if unknown := set(golden.labels) - known:
                raise InputError(f"goldens[{number}]: {min(unknown)!r:.40} is no label of this bundle")

    def _check_gate(self) -> None:
        choices = self.gate.get("choices", ())
        if not isinstance(choices, (list, tuple)):
            raise InputError(f"gate.choices must be a list, not {choices!r:.40}")
        for choice in choices:
            named = [choice.get(name) for name in ("runtime", "precision")] if isinstance(choice, dict) else [None]
            if not all(isinstance(name, str) for name in named):
                raise InputError(f"gate.choices: {choice!r:.40} names no runtime and precision")

    def to_json(self) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        fields["decoding"] = self.decoding.to_json()
        fields["tokeniser"] = self.tokeniser.to_json()
        fields["goldens"] = [asdict(golden) for golden in self.goldens]
        if self.encoder_weight is None:
            del fields["encoder_weight"]
        fields["long_texts"] = self.long_texts.to_json()
        if self.long_texts.way == FIRST:
            del fields["long_texts"]
        fields["calibration"] = self.calibration.to_json() if self.calibration else None
        fields["promises"] = [promise.to_json() for promise in self.promises]
        fields["graph"] = asdict(self.graph) if self.graph else None
        for name in ("calibration", "promises", "graph", "examples"):
            if not fields[name]:
                del fields[name]
        third = self.encoder_weight is not None or self.long_texts.way != FIRST
        version = 3 if third else 2 if self.tokeniser.kind == SUBWORD else 1
        version = 5 if self.graph else 4 if self.calibration else version
        version = 6 if self.decoding.leading else version
        version = 7 if self.promises else version
        version = 8 if self.examples or (self.promises and self.decoding.leading) else version
        return {"format_version": version, **fields}

    @classmethod
    def from_json(cls, fields: Any) -> Manifest:
        """What `to_json` gave; raises InputError for a field that is missing or wrong."""
        manifest = from_fields(cls, fields)
        if manifest.promises and manifest.decoding.leading and fields.get("format_version") == _LEADING_UNPROMISED:
            raise InputError("its promises were found as though no label led")
        return manifest

    def combine(self, logits: np.ndarray, linear: np.ndarray | None) -> np.ndarray:
        """The model's logits, as `pipeline.text.linear.combined` makes them of its encoder's and its linear part's."""
        return combined(logits, linear, self.encoder_weight)


def check_reading(normalisation: str, max_seq_length: int) -> None:
    """Raise InputError unless this version can read texts in this way."""
    if normalisation not in NORMALISATIONS:
        known = ", ".join(NORMALISATIONS)
        raise InputError(f"unknown normalisation {normalisation!r:.40}; this version knows {known}")
    if not 3 <= max_seq_length <= MAX_TEXT_CHARACTERS:
        raise InputError(f"max_seq_length is {max_seq_length}; it lies between 3 and {MAX_TEXT_CHARACTERS:,}")


def check_kept_texts(name: str, texts: Sequence[str]) -> None:
    """Raise InputError unless servers can be checked with the texts, which the field `name` holds."""
    if len(texts) > MOST_GOLDENS:
        raise InputError(f"{name} are {len(texts):,}; at most {MOST_GOLDENS:,} are asked of a server")
    for number, text in enumerate(texts):
        if fault := text_fault(text):
            raise InputError(f"{name}[{number}]: {fault}")


def check_width(width: str) -> None:
    """Raise InputError unless `width` is a share of the encoder, such as 1 or 2/3."""
    if not _WIDTH.fullmatch(width) or Fraction(width) > 1:
        raise InputError(f"width is {width!r:.40}; give a share such as 2/3")


def check_encoder_weight(weight: float | None) -> None:
    """Raise InputError unless an encoder's logits can be multiplied by it."""
    if weight is not None and not 0 <= weight < float("inf"):
        raise InputError(f"encoder_weight is {weight}; it is 0 or more, or absent")
