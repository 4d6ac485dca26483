"""What is recorded of a published bundle beside its files."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pipeline.errors import BundleError
from pipeline.files.bundle import Bundle
from pipeline.records import from_fields, read_json
from serving.golden import Expected
from serving.options import ComputeWishes

Chosen = TypeVar("Chosen", bound=ComputeWishes)


@dataclass(frozen=True)
class PublishedVersion(Generic[Chosen]):
    """A published bundle, as the record in its folder says.

    Attributes:
        number: the version, from 1.
        bundle: the bundle's identity.
        published: when, in UTC, such as 2026-01-31T12:00:00Z.
        options: how it is served.
        expected: texts and the labels that this version must give them.
    """

    number: int
    bundle: str
    published: str
    options: Chosen
    expected: tuple[Expected, ...]

    @classmethod
    def now(
        cls, number: int, bundle: Bundle, options: Chosen, expected: Sequence[Expected]
    ) -> PublishedVersion[Chosen]:
        """A version of the bundle that is published now."""
        published = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return cls(number, bundle.identity, published, options, tuple(expected))

    def text(self) -> str:
        """The record, in JSON."""
        expected = [answer.to_json() for answer in self.expected]
        fields = {**vars(self), "options": asdict(self.options), "expected": expected}
        return json.dumps(fields, ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def read(cls, path: Path, options: type[Chosen]) -> PublishedVersion[Chosen]:
        """The record in a file, this version's or an older one's.

        Raises:
            BundleError: it is damaged.
        """
        try:
            fields = read_json(path)
            expected = tuple(from_fields(Expected, answer) for answer in fields["expected"])
            chosen = options(**fields["options"])
            return cls(**{"number": 0, **fields, "options": chosen, "expected": expected})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise BundleError(f"{path} is damaged ({error!r}); remove the version that it describes") from None
