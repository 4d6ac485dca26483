"""What is recorded of a published bundle beside its files."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pipeline.errors import BundleError
from pipeline.files.bundle import Bundle
from pipeline.records import from_fields, read_json
from pipeline.served import ServedModel, in_words
from serving.golden import Expected, OtherFolder
from serving.options import ComputeWishes
from serving.staging import software

NAMED_LABELS = 3
WORSE = 0.005
"""Of micro F1: a smaller fall is not told."""
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
        note: what whoever published it wanted to be known.
        model, data: the encoder's name and the name of the dataset folder that it learnt from; empty where unknown.
        micro_f1: on the development file; None where unknown.
        software: `serving.staging.software` of the code that was published with it.
        labels: label paths that it may answer; empty where unknown.
        linear: whether it has a linear part, whose logits the first step gives and the last one adds.
        tells_truncated, explains, tells_promised: whether that code tells which texts it has read in part, why a text
            got a label, and what is promised; earlier releases' did not.
    """

    number: int
    bundle: str
    published: str
    options: Chosen
    expected: tuple[Expected, ...]
    note: str = ""
    model: str = ""
    data: str = ""
    micro_f1: float | None = None
    software: str = ""
    labels: tuple[str, ...] = ()
    linear: bool = False
    tells_truncated: bool = False
    explains: bool = False
    tells_promised: bool = False

    @classmethod
    def now(
        cls, number: int, bundle: Bundle, options: Chosen, expected: Sequence[Expected], note: str = ""
    ) -> PublishedVersion[Chosen]:
        """A version of the bundle that is published now."""
        manifest = bundle.manifest
        data, dev = manifest.training.get("data"), manifest.metrics.get("dev")
        micro_f1 = dev.get("micro_f1") if isinstance(dev, Mapping) else None
        return cls(
            number,
            bundle.identity,
            published=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            options=options,
            expected=tuple(expected),
            note=note,
            model=manifest.model_name,
            data=str(data.get("folder", "")) if isinstance(data, Mapping) else "",
            micro_f1=micro_f1 if isinstance(micro_f1, float) else None,
            software=software(),
            labels=manifest.labels,
            linear=manifest.encoder_weight is not None,
            tells_truncated=True,
            explains=True,
            tells_promised=True,
        )

    @property
    def in_words(self) -> str:
        """Which one it is, as `pipeline.served` says it."""
        return in_words(self.number, self.bundle, self.model, self.published)

    @property
    def about(self) -> str:
        """What it is, for people: model, data, score and note, as far as they are known."""
        trained = " on ".join(filter(None, (self.model, self.data)))
        score = f"dev micro F1 {self.micro_f1:.4f}" if self.micro_f1 is not None else ""
        said = "; ".join(filter(None, (", ".join(filter(None, (trained, score))), self.note)))
        return "".join(char if char.isprintable() else " " for char in said)

    def unlike(self, before: PublishedVersion) -> list[str]:
        """What callers of the version before, or whoever owns its labels, would want to know, in words."""
        said = []
        if before.labels and (gone := sorted({*before.labels} - {*self.labels})):
            said.append(f"labels that are gone: {_named(gone)}")
        if before.labels and (new := sorted({*self.labels} - {*before.labels})):
            said.append(f"new labels: {_named(new)}")
        if before.data and self.data != before.data:
            said.append(f"it learnt from {self.data or 'an unknown data set'}, not from {before.data}")
        if self.micro_f1 is not None and before.micro_f1 is not None and before.micro_f1 - self.micro_f1 > WORSE:
            said.append(f"its dev micro F1 is {self.micro_f1:.4f}, and that version's {before.micro_f1:.4f}")
        return said

    def text(self) -> str:
        """The record, in JSON."""
        expected = [answer.to_json() for answer in self.expected]
        fields = {**vars(self), "options": asdict(self.options), "expected": expected}
        return json.dumps(fields, ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def read(cls, path: Path, options: type[Chosen], number: int | None = None) -> PublishedVersion[Chosen]:
        """The record in a file, this version's or an older one's.

        Args:
            path: the file.
            options: of the server's kind.
            number: that the file's place stands for.

        Raises:
            BundleError: it is damaged, or another version's.
        """
        try:
            fields = read_json(path)
            expected = tuple(from_fields(Expected, answer) for answer in fields["expected"])
            chosen = options(**fields["options"])
            known = {name: value for name, value in fields.items() if name in cls.__dataclass_fields__}
            known["labels"] = tuple(known.get("labels", ()))
            version = cls(**{"number": 0, **known, "options": chosen, "expected": expected})
            if not all(isinstance(label, str) for label in version.labels):
                raise TypeError(f"labels are {version.labels!r:.40}")
            if not isinstance(version.micro_f1, (float, int, type(None))):
                raise TypeError(f"micro_f1 is {version.micro_f1!r:.40}")
            if number not in (None, version.number):
                raise ValueError(f"its number is {version.number!r:.40}, and its folder's {number}")
            return version
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise BundleError(f"{path} is damaged ({error!r}); remove the version that it describes") from None


def notes(versions: Iterable[tuple[PublishedVersion, PublishedVersion | None]]) -> list[str]:
    """A line for each thing in which versions are unlike those that were live; None where there was none."""
    found: dict[str, int] = {}
    for version, before in versions:
        if before:
            found.update(dict.fromkeys(version.unlike(before), before.number))
    return [f"note: unlike version {number}, which was live: {said}" for said, number in found.items()]


def _named(labels: Sequence[str]) -> str:
    more = len(labels) - NAMED_LABELS
    return ", ".join(labels[:NAMED_LABELS]) + f" and {more} more" * (more > 0)


def served(
    versions: Sequence[PublishedVersion[Chosen]], folder: Path, address: str, model: ServedModel
) -> PublishedVersion[Chosen]:
    """The version of a folder by which the server at an address says that it answers.

    Raises:
        OtherFolder: there is none.
    """
    for version in versions:
        if (version.number, version.bundle) == (model.version, model.bundle):
            return version
    raise OtherFolder(
        f"the server at {address} answers by {model}, which is not in {folder}: it serves another folder; name that "
        "folder, or the address of the server that serves this one"
    )
