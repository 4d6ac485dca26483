"""New training texts from given ones, by changing words that do not tell the label."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pipeline.files.dataset import Example
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.text.normalisation import comparable, text_fault
from training.analysis.progress import progress
from training.analysis.rewriting.options import CHANGES, DELETE, INSERT, MIX, SUBSTITUTE, SWAP, AugmentationOptions
from training.analysis.rewriting.substitutes import Place, Substitutes
from training.analysis.rewriting.telling_words import TellingWords
from training.analysis.rewriting.words import Segmenter, is_word
from training.analysis.unicode_words import has_unspaced

ATTEMPTS = 3
"""Tries for a text that is not there yet."""
_ROWS = 256


class _Plan(NamedTuple):
    """A copy to make: of which row, in which way, and where its words are to change."""

    row: int
    change: str
    pieces: list[str]
    places: list[int]
    random: np.random.Generator


class Augmenter:
    """Makes new rows that keep the labels of those they are made from.

    Args:
        train: all training rows; they tell which words stand for a label.
        hierarchy: the labels.
        segment: cuts texts into words.
        substitutes: what may replace a word, or be inserted beside it.
        options: how texts are changed.
    """

    def __init__(
        self,
        train: Sequence[Example],
        hierarchy: LabelHierarchy,
        segment: Segmenter,
        substitutes: Substitutes,
        options: AugmentationOptions,
    ) -> None:
        self._segment, self._substitutes, self._options = segment, substitutes, options
        pieces = (segment(example.text) for example in progress(train, desc="words", unit="text"))
        self._telling = TellingWords(train, pieces, hierarchy)

    def augment(self, rows: Sequence[Example], known: set[str]) -> Iterator[Example]:
        """Yield the copies of each row in turn; a text that cannot be changed has none.

        Args:
            known: texts, made comparable, that are there already; those that are made join them.
        """
        with progress(total=len(rows), desc="augmentation", unit="text") as bar:
            for start in range(0, len(rows), _ROWS):
                made: dict[int, list[str]] = {row: [] for row in range(start, min(start + _ROWS, len(rows)))}
                for attempt in range(ATTEMPTS):
                    lacking = [
                        (row, copy) for row, texts in made.items() for copy in range(len(texts), self._options.create_n)
                    ]
                    plans = [self._plan(rows[row], row, copy, attempt) for row, copy in lacking]
                    for plan, text in zip(plans, self._carry_out(plans, rows)):
                        if (same := comparable(text)) not in known and not text_fault(text):
                            known.add(same)
                            made[plan.row].append(text)
                for row, texts in made.items():
                    yield from (Example(text, rows[row].labels) for text in texts)
                bar.update(len(made))

    def _plan(self, example: Example, row: int, copy: int, attempt: int) -> _Plan:
        random = np.random.default_rng((self._options.seed, row, copy, attempt))
        strategy = self._options.aug_strategy
        change = CHANGES[random.integers(len(CHANGES))] if strategy == MIX else strategy
        pieces = self._segment(example.text)
        free = [
            place
            for place, piece in enumerate(pieces)
            if is_word(piece) and (change in (INSERT, SWAP) or not self._telling.tell_of(piece, example.labels))
        ]
        wanted = min(len(free), max(1, round(self._options.aug_percent * len(free))))
        places = sorted(random.choice(free, wanted, replace=False).tolist()) if free else []
        return _Plan(row, change, pieces, places, random)

    def _carry_out(self, plans: Sequence[_Plan], rows: Sequence[Example]) -> list[str]:
        asked = [plan for plan in plans if plan.change in (SUBSTITUTE, INSERT)]
        places = [Place(plan.pieces, index) for plan in asked for index in plan.places]
        proposals = iter(self._substitutes.propose(places))
        texts = []
        for plan in plans:
            if plan.change in (SUBSTITUTE, INSERT):
                new = [
                    self._choose(proposal, rows[plan.row], plan.random)
                    for proposal in itertools.islice(proposals, len(plan.places))
                ]
                texts.append(_put_in(plan, new))
            elif plan.change == DELETE:
                texts.append("".join(piece for place, piece in enumerate(plan.pieces) if place not in plan.places))
            else:
                texts.append(_swap(plan))
        return [" ".join(text.split()) if " " in text else text for text in texts]

    def _choose(self, proposal: Sequence[str], example: Example, random: np.random.Generator) -> str | None:
        fitting = [word for word in proposal if self._telling.fits(word, example.labels)]
        return fitting[random.integers(len(fitting))] if fitting else None


def _put_in(plan: _Plan, new: Sequence[str | None]) -> str:
    """Let the new words replace those at the plan's places, or stand behind them."""
    pieces = list(plan.pieces)
    spaced = any(piece.isspace() for piece in pieces)
    for place, word in zip(plan.places, new):
        if word is not None:
            space = " " if spaced and not has_unspaced(pieces[place] + word) else ""
            pieces[place] = word if plan.change == SUBSTITUTE else f"{pieces[place]}{space}{word}"
    return "".join(pieces)


def _swap(plan: _Plan) -> str:
    """Let each word at the plan's places change places with the next word."""
    pieces = list(plan.pieces)
    for place in plan.places:
        following = next((other for other in range(place + 1, len(pieces)) if is_word(pieces[other])), None)
        if following is not None:
            pieces[place], pieces[following] = pieces[following], pieces[place]
    return "".join(pieces)
