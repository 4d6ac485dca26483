"""What an answer says of why: the words that carry each label, training rows like the text, and their form in JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pipeline.records import parse_json
from pipeline.tensors import LABEL

NEIGHBOURS = "neighbours"


class Reason(NamedTuple):
    """A piece of a text, the characters from `start` to `end`, and what the label's score falls by without it."""

    text: str
    start: int
    end: int
    drop: float


class Neighbour(NamedTuple):
    """A training row, its text cut to a bounded length, all its label paths, and how like it is, in (0, 1]."""

    text: str
    labels: tuple[str, ...]
    similarity: float


@dataclass(frozen=True)
class Explanation:
    """Why a text got its labels.

    Attributes:
        labels: by label path, in the answer's order and at most 50, the pieces that carry it, those that matter most
            first; none where no single piece does.
        words_at_once: of the largest piece; 1 where each word was left out by itself.
        until: the characters that were looked at for words; what stands behind them was not.
        neighbours: by label path, as above, the training rows with it that are most like the text, the nearest first;
            None of a model that holds no training rows.
    """

    labels: Mapping[str, tuple[Reason, ...]]
    words_at_once: int
    until: int
    neighbours: Mapping[str, tuple[Neighbour, ...]] | None = None

    def fields(self) -> dict[str, Any]:
        """As JSON values: `{"labels": [{"label": path, "words": [{"text", "start", "end", "drop"}]}], ...}`.

        Beside `words` stands `"neighbours": [{"text", "labels", "similarity"}]`, where there are any to tell of.
        """
        labels: list[dict[str, Any]] = [
            {LABEL: label, "words": [{**reason._asdict(), "drop": round(reason.drop, 6)} for reason in reasons]}
            for label, reasons in self.labels.items()
        ]
        if self.neighbours is not None:
            for each in labels:
                each[NEIGHBOURS] = [
                    {**row._asdict(), "labels": list(row.labels)} for row in self.neighbours.get(each[LABEL], ())
                ]
        return {"labels": labels, "words_at_once": self.words_at_once, "until": self.until}

    def to_json(self) -> str:
        return json.dumps(self.fields(), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Explanation:
        """What `to_json` gave; raises as `from_fields` does."""
        return cls.from_fields(parse_json(text))

    @classmethod
    def from_fields(cls, fields: Any) -> Explanation:
        """What `fields` gave.

        Raises:
            ValueError, TypeError, KeyError: it is something else.
        """
        labels = {
            str(each[LABEL]): tuple(
                Reason(str(word["text"]), int(word["start"]), int(word["end"]), float(word["drop"]))
                for word in each["words"]
            )
            for each in fields["labels"]
        }
        neighbours = {
            str(each[LABEL]): tuple(
                Neighbour(str(row["text"]), tuple(map(str, row["labels"])), float(row["similarity"]))
                for row in each[NEIGHBOURS]
            )
            for each in fields["labels"]
            if NEIGHBOURS in each
        }
        return cls(labels, int(fields["words_at_once"]), int(fields["until"]), neighbours or None)
