"""A batch of texts in parts that fit into memory, each text in its windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.compute.batching import pad
from pipeline.compute.windows import Windows

PART_TOKENS = 16384
"""Padding included, that go through the model together in training, unless one text has more: 32 texts of 512."""


@dataclass(frozen=True)
class Part:
    """Some of a batch's texts.

    Attributes:
        texts: their places in the batch.
        input_ids: their windows' token ids, int64 [windows, longest window].
        owners: int [windows], ascending from 0: which of these texts each window is of.
    """

    texts: slice
    input_ids: np.ndarray
    owners: np.ndarray


def batch_parts(rows: Sequence[np.ndarray], windows: Windows, most_tokens: int = PART_TOKENS) -> Iterator[Part]:
    """The parts of a batch of rows of token ids, int64 [length] each, in their order."""
    start = held = longest = 0
    for place, row in enumerate(rows):
        count, length = len(windows.split([row])[0]), min(len(row), windows.length)
        longest = max(longest, length)
        if held and (held + count) * longest > most_tokens:
            yield _part(rows, slice(start, place), windows)
            start, held, longest = place, 0, length
        held += count
    yield _part(rows, slice(start, len(rows)), windows)


def _part(rows: Sequence[np.ndarray], texts: slice, windows: Windows) -> Part:
    parts, owners = windows.split(rows[texts])
    return Part(texts, pad(parts), owners)
