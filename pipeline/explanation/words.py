"""The words of a text and where they stand, in any script; and the text without some of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from pipeline.text.normalisation import text_fault
from pipeline.text.unspaced import HAN, OTHERS

Spans = list[tuple[int, int]]
"""Where words begin and end, in characters."""
EMPTY = "."

_ALONE, _RUN, _ADDED, _BETWEEN, _NONE = range(5)
_UNSPACED = re.compile(f"[{HAN}{OTHERS}]")
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_JOINER = "\u200d"


def word_spans(text: str, until: int) -> list[tuple[int, int]]:
    """Where each word that lies within the first `until` characters begins and ends, in order.

    As the tokeniser's words, but for these: in scripts without spaces between words, Chinese included, a word is one
    character; apostrophes and points within a word belong to it, and marks that belong to the letter before; and
    punctuation is no word. A symbol, such as an emoji, is one.
    """
    spans: list[tuple[int, int]] = []
    before, end = _NONE, 0
    for place, char in enumerate(text[:until]):
        kind = _kind(char)
        if kind == _BETWEEN:
            inner = before == _RUN and place + 1 < len(text) and _kind(text[place + 1]) == _RUN
            kind = _RUN if inner else _NONE
        joined = end == place > 0 and (kind == _ADDED or (kind == before == _RUN) or text[place - 1] == _JOINER)
        if kind in (_RUN, _ALONE) or (kind == _ADDED and joined):
            end = place + 1
            if joined:
                spans[-1] = (spans[-1][0], end)
            else:
                spans.append((place, end))
        before = before if kind == _ADDED else kind
    if end == until < len(text):
        spans.pop()
    return spans


def without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """`text` without the characters of the spans, which are in order; between words that would become one stays a
    space, and of a text that is left without a visible character EMPTY."""
    left = text[: spans[0][0]] if spans else text
    for (_, end), (start, _) in zip(spans, [*spans[1:], (len(text), len(text))]):
        kept = text[end:start]
        joined = left and kept and {_kind(left[-1]), _kind(kept[0])}.isdisjoint((_ALONE, _NONE))
        left += f" {kept}" if joined else kept
    return EMPTY if text_fault(left) else left


@lru_cache(1 << 14)
def _kind(char: str) -> int:
    category = unicodedata.category(char)
    if category[0] == "M" or char in "\u200c\u200d" or ord(char) in _SKIN_TONES:
        return _ADDED
    if category[0] in "LN":
        return _ALONE if _UNSPACED.match(char) else _RUN
    if char in "'’.":
        return _BETWEEN
    return _ALONE if category[0] == "S" and char != "\ufffd" else _NONE
