"""Telling UTF-16 and UTF-32 from the bytes that a file begins with."""

from __future__ import annotations

import codecs
from collections import Counter

START_BYTES = 1 << 16
"""What is looked at of a file."""
_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),  # begins as that of UTF-16 does
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_NARROW = ("UTF-8", "GB18030")
_BEYOND_TEXT = "\U00040000"
"""No letter of any script lies here or above."""
LEAST_COMMON = 0.7
"""Share of the characters beyond ASCII that GB18030 text has from GB 2312. What is Big5, Shift JIS or Latin-1 and read
as GB18030 has fewer."""


def wide_encoding(start: bytes) -> str | None:
    """The encoding of a file of two or four bytes a character, or None; told by a mark, or by where NULs stand.

    Args:
        start: START_BYTES of the file, or all of it; bytes of a character that is cut at the end are passed over.

    Returns:
        UTF-16 or UTF-32 where there is a byte order mark, else with LE or BE behind it: names that iconv and Python
        know.
    """
    for mark, name in _MARKS:
        if start.startswith(mark):
            return name
    if b"\0" not in start:
        return None
    for name in ("UTF-32LE", "UTF-32BE"):
        text = _text(start, name)
        if text and max(text) < _BEYOND_TEXT:
            return name
    # Chinese in UTF-16 has few NULs, as its line breaks do. NULs that strayed into another text make no UTF-16 of it: a
    # single one never does, nor do those in what is UTF-8 or Chinese in GB18030 without them.
    narrow = next((text for text in (_text(start, name) for name in _NARROW) if text is not None), None)
    if start.count(0) == 1 or (narrow is not None and not narrow.isascii() and common_share(narrow) >= LEAST_COMMON):
        return None
    if _text(start, "UTF-8") is not None:
        least = len(start)
    else:
        least = max(1, start.count(b"\n") // (4 if narrow is None else 1))
    for name, high in (("UTF-16LE", start[1::2]), ("UTF-16BE", start[::2])):
        text = _text(start, name)
        if text and (2 * high.count(0) >= len(high) or text.count("\n") >= least):
            return name
    return None


def common_share(text: str) -> float:
    """Of the characters beyond ASCII the share that GB 2312 has."""
    counts = Counter(character for character in text if not character.isascii())
    common = sum(count for character, count in counts.items() if _in_gb2312(character))
    return common / max(1, sum(counts.values()))


def _in_gb2312(character: str) -> bool:
    try:
        return bool(character.encode("gb2312"))
    except UnicodeEncodeError:
        return False


def _text(start: bytes, encoding: str) -> str | None:
    """What `start` is in an encoding; None where it is not in it, or is wide and holds a NUL character."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(start)
    except UnicodeDecodeError:
        return None
    return None if "\0" in text and encoding not in _NARROW else text
