"""Makes sentences out of the templates; the package's docstring explains their notation."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from training.data.sample_wordings import slots

OPENING_SHARE, RUMOUR_SHARE, TAIL_SHARE = 0.45, 0.2, 0.4
RUMOUR_FIRST_SHARE = 0.3
SHORTEST, LONGEST = 15, 70  # characters

_ALTERNATIVES = re.compile(r"\[([^\[\]]*)\]")
_RANGE = re.compile(r"\{(\d+)~(\d+)\}")
_SLOT = re.compile(r"\{(\D+?)(\d*)\}")

T = TypeVar("T")


class Kind(NamedTuple):
    """A combination of leaf label paths that a row may tell of, its share of rows, and its templates."""

    leaves: tuple[str, ...]
    weight: int
    templates: tuple[str, ...]


def read_kinds(table: str) -> list[Kind]:
    """The kinds of a `TEMPLATES` table."""
    kinds = []
    for block in table.strip().split("@")[1:]:
        header, *templates = block.strip().split("\n")
        leaves, weight = header.rsplit(" ", 1)
        kinds.append(Kind(tuple(leaves.split(",")), int(weight), tuple(templates)))
    return kinds


MENTIONS = {
    family: [(f"##{leaf}", words) for leaf, _, words in (pair.partition("##") for pair in pairs.split())]
    for family, pairs in slots.MENTIONS.items()
}


class Author:
    """Writes sentences; every choice comes from one random stream.

    `novel` opens the whole of each word list; without it the last tenth of the longer lists stays unused.
    """

    def __init__(self, seed: str, *, novel: bool) -> None:
        self._random = random.Random(seed).random  # the one method whose values Python promises to keep
        self._novel = novel

    def pick(self, items: Sequence[T]) -> T:
        return items[int(self._random() * len(items))]

    def happens(self, share: float) -> bool:
        return self._random() < share

    def shuffled(self, items: Sequence[T]) -> list[T]:
        return sorted(items, key=lambda _: self._random())

    def sentence(self, kind: Kind) -> str:
        """A sentence of `SHORTEST` to `LONGEST` characters that tells the events of `kind`."""
        while True:
            text = self.fill(self._outline(kind))
            if SHORTEST <= len(text) <= LONGEST:
                return text

    def _outline(self, kind: Kind) -> str:
        family = kind.leaves[0].split("##")[0]
        told = "".join(kind.leaves)
        before, after = [], []
        if self.happens(OPENING_SHARE):
            before.append(self.pick(slots.OPENINGS))
        if self.happens(RUMOUR_SHARE):
            event = self.pick([words for leaf, words in MENTIONS[family] if leaf not in told])
            if self.happens(RUMOUR_FIRST_SHARE):
                before.append(self.pick(slots.RUMOURS_BEFORE).replace("{事}", event))
            else:
                after.append(self.pick(slots.RUMOURS_AFTER).replace("{事}", event))
        if self.happens(TAIL_SHARE):
            own = slots.TAILS[family] if len(kind.leaves) == 1 else ()
            after.append(self.pick(slots.TAILS["*"] + own))
        clauses = "，".join([self.pick(kind.templates), *self.shuffled(after)])
        return "".join(before) + clauses + self.pick(("", "", "。", "！"))

    def fill(self, template: str) -> str:
        """Make every choice that `template` leaves open; equal slots get equal fillers, others different ones."""
        while (chosen := self._choose(template)) != template:
            template = chosen
        fillers: dict[str, str] = {}

        def filler(match: re.Match[str]) -> str:
            slot = match[1] + match[2]
            while slot not in fillers:
                value = self.fill(self.pick(self._fillers(match[1])))
                if value not in fillers.values():
                    fillers[slot] = value
            return fillers[slot]

        return _SLOT.sub(filler, _RANGE.sub(self._number, template))

    def _choose(self, template: str) -> str:
        return _ALTERNATIVES.sub(lambda match: self.pick(match[1].split("|")), template)

    def _number(self, match: re.Match[str]) -> str:
        return str(self.pick(range(int(match[1]), int(match[2]) + 1)))

    def _fillers(self, slot: str) -> Sequence[str]:
        words = slots.SLOTS[slot]
        held_out = 0 if self._novel or len(words) < slots.OPEN_CLASS else len(words) // 10
        return words[: len(words) - held_out]
