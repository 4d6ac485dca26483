"""Cutting a stream into lists of bounded size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, Callable, TypeVar

from pipeline.errors import ClassifierError

Item = TypeVar("Item", bound=Any)
ROWS_PER_CHUNK = 1024
SCORES_PER_CHUNK = 1 << 22
CHARACTERS_PER_CHUNK = 1 << 20
"""What is held at once of a file that is answered piece by piece, where labels may be many and texts long."""


def rows_per_chunk(labels: int) -> int:
    """How many texts are answered at once with so many labels."""
    return max(1, min(ROWS_PER_CHUNK, SCORES_PER_CHUNK // labels))


def chunks(
    items: Iterable[Item], rows: int, characters: float = math.inf, size: Callable[[Item], int] = len
) -> Iterator[list[Item]]:
    """Lists of `rows` items, or fewer where they have `characters` together before; the last may be shorter.

    Args:
        size: the characters of an item; texts are measured without being told how.

    Raises:
        ClassifierError: `items` raised it; the items that came before have been yielded by then.
    """
    chunk: list[Item] = []
    total = 0
    try:
        for item in items:
            chunk.append(item)
            total += size(item)
            if len(chunk) == rows or total >= characters:
                yield chunk
                chunk, total = [], 0
    except ClassifierError:
        if chunk:
            yield chunk
        raise
    if chunk:
        yield chunk
