"""What a word is made of, in any script: `\\w` of Python's patterns lacks the marks of Hindi and Thai."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterator

_JOINERS = "\u200c\u200d"  # they shape letters within a word


def _mark_ranges() -> Iterator[str]:
    """Nonspacing and spacing marks, as ranges of a character class."""
    first = None
    for code in range(0x300, sys.maxunicode + 2):
        inside = code <= sys.maxunicode and unicodedata.category(chr(code)) in ("Mn", "Mc")
        if inside and first is None:
            first = code
        elif not inside and first is not None:
            yield f"{chr(first)}-{chr(code - 1)}"
            first = None


WORD_CHARACTER = f"[\\w{_JOINERS}{''.join(_mark_ranges())}]"
"""A pattern of one character of a word: a letter with its marks, a digit, an underscore."""
UNSPACED = "[\u0e00-\u0eff\u0f00-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]"
"""A pattern of one character of Thai, Lao, Tibetan, Burmese, Khmer, kana, Han: they put no spaces between words."""
