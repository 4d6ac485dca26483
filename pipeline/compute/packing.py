"""Several texts in one row of token ids, each attending to itself alone: batches with hardly any padding.

Texts of mixed lengths that are padded to the longest of their batch cost a third more than their tokens, and cut into
batches of like length each batch has its own cost. Packed, 16 news sentences fill 94 % of a batch. The packed graph
of a bundle computes them; the plain one would let texts of a row read each other.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.compute.batching import OVERHEAD_TOKENS, TOKEN_BUDGET
from pipeline.tensors import FIRST_TOKENS, INPUT_IDS, PAD_ID, POSITION_IDS, TEXT_NUMBERS

ROW_LENGTHS = (96, 128, 160, 192)
"""Lengths of rows that are tried; the one with the least cost is taken."""
LONG_ROW_LENGTHS = (256, 512)
"""A text that is longer than those goes into a row of the first of these that holds it, or of its own length."""
ATTENTION_TOKENS = 3200
"""Attention over a row of so many tokens costs as much as all else: rows of 128 tokens instead of 32 take 3 % more."""
LENGTH_STEP = 16
"""Rows that are not full are cut to a multiple of it, so that there are few shapes: a new one costs 8 ms more."""
MOST_TEXTS = 16
"""Of one row."""
PLANNED_TEXTS = 4096
"""That are planned together: more would fill rows no better, and the first batch would wait for the plan."""

Rows = list[list[int]]
"""Per row the numbers of its texts."""


@dataclass(frozen=True)
class PackedBatch:
    """What one run of a packed graph takes, and which texts it answers.

    Attributes:
        texts: int [texts], their numbers.
        places: int [texts], where in the graph's output, float32 [rows * slots, labels], each of them stands.
        inputs: the graph's inputs by name: token ids and their positions in their text, and the number of that text in
            its row, from 1, 0 for padding, int64 [rows, length] each; and where in the flattened rows each text
            begins, int64 [rows, slots], 0 where a slot is free.
    """

    texts: np.ndarray
    places: np.ndarray
    inputs: dict[str, np.ndarray]


def plan_rows(lengths: Sequence[int], row_lengths: Sequence[int]) -> dict[int, Rows]:
    """Rows that hold all texts, by the length that they may have at most.

    Best fit, longest first: a text goes where least room is left beside it, or into a new row, as long as the first of
    `row_lengths` that holds it.

    Args:
        lengths: tokens of each text.
        row_lengths: ascending.
    """
    planned: dict[int, Rows] = {}
    open_rows: list[tuple[int, int, list[int]]] = []  # by the room in them, then by when they were begun
    for text in sorted(range(len(lengths)), key=lambda text: -lengths[text]):
        length = lengths[text]
        place = bisect_left(open_rows, (length,))
        if place < len(open_rows):
            room, number, row = open_rows.pop(place)
        else:
            room, number, row = next((most for most in row_lengths if most >= length), length), text, []
            planned.setdefault(room, []).append(row)
        row.append(text)
        if len(row) < MOST_TEXTS:
            insort(open_rows, (room - length, number, row))
    return planned


def plan_batches(lengths: Sequence[int], token_budget: int) -> list[Rows]:
    """The rows of each batch, so that all batches together cost least.

    Args:
        lengths: tokens of each text.
        token_budget: a batch's rows times their length stay within it, unless a text is longer.
    """
    plans = []
    most = max(token_budget // LENGTH_STEP * LENGTH_STEP, max(lengths, default=0))
    for shortest in sorted({min(length, most) for length in ROW_LENGTHS}) if lengths else ():
        planned = plan_rows(lengths, sorted({min(length, most) for length in (shortest, *LONG_ROW_LENGTHS)}))
        batches = [batch for length, rows in planned.items() for batch in _split(rows, max(1, token_budget // length))]
        plans.append((sum(_cost(batch, lengths) for batch in batches), batches))
        if len(batches) == len(batches[0]) == 1:
            break  # one row holds all
    return min(plans, key=lambda plan: plan[0])[1] if plans else []


def pack(texts: Sequence[np.ndarray], token_budget: int, turns: np.ndarray | None = None) -> Iterator[PackedBatch]:
    """Batches that together hold every text once.

    Args:
        texts: token ids, int64 [length] each.
        token_budget: as for `plan_batches`.
        turns: int [texts]; batches that are planned together come in the order of the least of their texts' turns.
    """
    for start in range(0, len(texts), PLANNED_TEXTS):
        lengths = [len(text) for text in texts[start : start + PLANNED_TEXTS]]
        batches = plan_batches(lengths, token_budget)
        if turns is not None:
            own = turns[start : start + PLANNED_TEXTS]
            batches.sort(key=lambda rows: min(own[text] for row in rows for text in row))
        for planned in batches:
            rows = [[start + text for text in row] for row in planned]
            yield _batch(texts, rows, _length(planned, lengths))


def shapes_to_warm(token_budget: int, max_length: int) -> list[tuple[int, int, int]]:
    """Rows, length and slots of the batches that `pack` makes often of texts up to `max_length` tokens.

    Of batches of several rows those with 4 slots, up to TOKEN_BUDGET tokens, and of single rows those up to the longest
    of LONG_ROW_LENGTHS: beside the work of a larger one, what a new shape costs is little.
    """
    longest = min(max_length, LONG_ROW_LENGTHS[-1])
    single = [(1, length, 1) for length in range(LENGTH_STEP, longest + LENGTH_STEP, LENGTH_STEP)]
    lengths = [*range(ROW_LENGTHS[0], ROW_LENGTHS[-1], LENGTH_STEP), ROW_LENGTHS[-1], *LONG_ROW_LENGTHS]
    several = [
        (rows, length, 4)
        for shorter, length in zip([0, *lengths], lengths)
        if shorter < max_length or length <= ROW_LENGTHS[-1]
        for rows in range(2, min(token_budget, TOKEN_BUDGET) // length + 1)
    ]
    return single + several


def empty_inputs(rows: int, length: int, slots: int) -> dict[str, np.ndarray]:
    """Inputs of a packed graph of that shape, without a text in them."""
    inputs = {name: np.zeros((rows, length), np.int64) for name in (POSITION_IDS, TEXT_NUMBERS)}
    return {
        INPUT_IDS: np.full((rows, length), PAD_ID, np.int64),
        **inputs,
        FIRST_TOKENS: np.zeros((rows, slots), np.int64),
    }


def _split(rows: Rows, most: int) -> Iterator[Rows]:
    """Parts of up to `most` rows, as equal as can be."""
    parts = -(-len(rows) // most)
    for part in range(parts):
        yield rows[part * len(rows) // parts : (part + 1) * len(rows) // parts]


def _length(rows: Rows, lengths: Sequence[int]) -> int:
    """Of the longest row, as long as it has to be."""
    return _rounded(max(sum(lengths[text] for text in row) for row in rows))


def _cost(rows: Rows, lengths: Sequence[int]) -> float:
    """Of a batch, in tokens."""
    length = _length(rows, lengths)
    return len(rows) * length * (1 + length / ATTENTION_TOKENS) + OVERHEAD_TOKENS


def _batch(texts: Sequence[np.ndarray], rows: Rows, length: int) -> PackedBatch:
    slots = 1 << (max(map(len, rows)) - 1).bit_length()
    inputs = empty_inputs(len(rows), length, slots)
    input_ids, position_ids, text_numbers, first_tokens = (
        inputs[name] for name in (INPUT_IDS, POSITION_IDS, TEXT_NUMBERS, FIRST_TOKENS)
    )
    places = []
    for number, row in enumerate(rows):
        start = 0
        for slot, text in enumerate(row):
            span = slice(start, start + len(texts[text]))
            input_ids[number, span] = texts[text]
            position_ids[number, span] = np.arange(len(texts[text]))
            # A text may hold the padding token itself, which is read by nothing, as in the plain graph.
            text_numbers[number, span] = np.where(texts[text] == PAD_ID, 0, slot + 1)
            first_tokens[number, slot] = number * length + start
            places.append(number * slots + slot)
            start = span.stop
    return PackedBatch(np.array([text for row in rows for text in row]), np.array(places), inputs)


def _rounded(tokens: int) -> int:
    return -(-tokens // LENGTH_STEP) * LENGTH_STEP
