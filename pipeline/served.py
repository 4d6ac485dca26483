"""What a server tells of the model that it answers by, whoever asks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Optional

from pipeline.errors import ServerError
from pipeline.files.manifest import LabelGraph, Manifest, hierarchy_of
from pipeline.labels.decoding import DecodingPolicy
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.labels.promises import Promise
from pipeline.records import from_fields, parse_json

ENVELOPE_BYTES, SAFE_BYTES = 512, 4 << 20
"""That a request takes beside its texts; and that it may have anywhere."""


@dataclass(frozen=True)
class ServedModel:
    """A published bundle, as its server describes it.

    Attributes:
        version: its number, from 1, in the folder that it was published to.
        bundle: the bundle's identity.
        published: when, in UTC, such as 2026-01-31T12:00:00Z.
        model: the encoder's name; empty where unknown.
        labels: the label paths, in the order of the scores.
        max_seq_length: tokens that the model reads of a text, [CLS] and [SEP] included.
        max_batch_size: texts that a request may hold.
        request_bytes: bytes that a request may have; 0 where that is another's to say, as the front's of Triton.
        thresholds: one for each label; none where the server is of an earlier release, which does not tell.
        decoding: how scores become label sets; None as above.
        promises: precisions that a request may ask for.
        graph: what makes a graph of the labels; None where they form a forest, or as above.
    """

    version: int
    bundle: str
    published: str
    model: str
    labels: tuple[str, ...]
    max_seq_length: int
    max_batch_size: int
    request_bytes: int = 0
    thresholds: tuple[float, ...] = ()
    decoding: Optional[DecodingPolicy] = None  # noqa: UP045 - Python 3.9 evaluates it
    graph: Optional[LabelGraph] = None  # noqa: UP045
    promises: tuple[Promise, ...] = ()

    @classmethod
    def of(
        cls,
        record: Mapping[str, Any],
        manifest: Manifest,
        max_seq_length: int,
        max_batch_size: int,
        request_bytes: int = 0,
    ) -> ServedModel:
        """By the fields of the record that was written when it was published; limits as above."""
        number, bundle, published, model = (record[name] for name in ("number", "bundle", "published", "model"))
        named = number, bundle, published, model, manifest.labels
        limits = max_seq_length, max_batch_size, request_bytes
        return cls(*named, *limits, manifest.thresholds, manifest.decoding, manifest.graph, manifest.promises)

    @cached_property
    def hierarchy(self) -> LabelHierarchy:
        """The labels; raises InputError where they form none."""
        return hierarchy_of(self.labels, self.graph)

    def __str__(self) -> str:
        return in_words(self.version, self.bundle, self.model, self.published)

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str, address: str) -> ServedModel:
        """What `to_json` gave, by a server at an address; fields that this version does not know are passed over.

        Raises:
            ServerError: it is no such text.
        """
        try:
            return from_fields(cls, parse_json(text))
        except ValueError as error:
            raise ServerError(f"what {address} says of the model that it serves cannot be read: {error}") from None

    def holds(self, sizes: Sequence[int]) -> bool:
        """Whether a request may hold texts that take so many bytes of it."""
        return len(sizes) <= self.max_batch_size and sum(sizes) + ENVELOPE_BYTES <= (self.request_bytes or SAFE_BYTES)


def in_words(version: int, bundle: str, model: str, published: str) -> str:
    """`version 3, bundle 0123456789ab, model ernie-3.0-medium-zh, published 2026-01-31T12:00:00Z`."""
    named = f", model {model}" if model else ""
    said = f"version {version}, bundle {bundle}{named}, published {published}"
    return "".join(char if char.isprintable() else " " for char in said)


def unsaid(address: str) -> ServerError:
    """The error of asking a server that does not describe its model."""
    return ServerError(
        f"{address} does not say which model it serves; it is of an earlier release, or no server of this project: "
        "publish the bundle again"
    )
