"""Cutting a stream of texts into lists of bounded size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from pipeline.errors import ClassifierError


def chunks(texts: Iterable[str], rows: int, characters: float = math.inf) -> Iterator[list[str]]:
    """Lists of `rows` texts, or fewer where they have `characters` together before; the last may be shorter.

    Raises:
        ClassifierError: `texts` raised it; the texts that came before have been yielded by then.
    """
    chunk: list[str] = []
    size = 0
    try:
        for text in texts:
            chunk.append(text)
            size += len(text)
            if len(chunk) == rows or size >= characters:
                yield chunk
                chunk, size = [], 0
    except ClassifierError:
        if chunk:
            yield chunk
        raise
    if chunk:
        yield chunk
