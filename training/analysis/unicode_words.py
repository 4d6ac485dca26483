"""Texts cut into words and characters by Unicode's rules (UAX 29), in any script and never before a combining mark."""

from __future__ import annotations

import regex

from pipeline.text.unspaced import HAN, OTHERS

_CLUSTER = r"\X\p{M}*"  # Unicode lets some vowel signs of Burmese stand alone
_CHARACTER = regex.compile(_CLUSTER)
_UNSPACED = f"[{OTHERS}{HAN}]"
_UNSPACED_LETTER = regex.compile(_UNSPACED)
_PIECE = regex.compile(rf"(?wsV1)(?=[[{OTHERS}]--[\u30a0-\u30ff]]){_CLUSTER}|.+?\b")
_TERM = regex.compile(rf"(?V1)(?={_UNSPACED}){_CLUSTER}|[[\w\p{{N}}\u200c\u200d]--{_UNSPACED}]{{2,}}")
"""Zero-width joiners shape letters within a word."""


def pieces(text: str) -> list[str]:
    """The words of a text and what stands between them; joined, they are the text again.

    In scripts without spaces between words, katakana aside, a piece is a character with its marks.
    """
    return _PIECE.findall(text)


def characters(text: str) -> list[str]:
    """What readers take for the characters of a text: letters with their marks, also several code points in one."""
    return _CHARACTER.findall(text)


def terms(text: str) -> list[str]:
    """Words of two letters and more, without apostrophes; characters where a script puts no spaces between words."""
    return _TERM.findall(text)


def has_unspaced(text: str) -> bool:
    """Whether a letter of the text is of a script that puts no spaces between words."""
    return bool(_UNSPACED_LETTER.search(text))
