"""What is done to a text before it is tokenised: the same in training and in every server.

A model's normalisation is named in its bundle, so that its texts are always treated as in training.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import cache, partial
from itertools import chain, groupby
from typing import Any, Callable

from pipeline.errors import InputError

MAX_TEXT_CHARACTERS = 200_000
DEFAULT_NORMALISATION = "half_width_composed"

_HALF_WIDTH = {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
_HALF_WIDTH["\u3000"] = " "
_FULL_WIDTH_FORM = re.compile("[\uff01-\uff5e\u3000]")
_ORDINARY_MARKS = 30  # in a row; no writing comes near it
_LISTS_HAVE = ("__len__", "__getitem__")


def _unchanged(text: str) -> str:
    return text


def _half_width(text: str) -> str:
    """Full-width forms become ASCII, every run of white space one space; none is left at the ends."""
    return " ".join(_FULL_WIDTH_FORM.sub(lambda form: _HALF_WIDTH[form[0]], text).split())


def _half_width_composed(text: str) -> str:
    """As `_half_width`, and letters take their marks in (NFC), so that both ways of writing é are one."""
    halved = _half_width(text)
    if _may_be_flood(halved) and _flood().search(halved):
        halved = decompose(halved)
    return unicodedata.normalize("NFC", halved)


def decompose(text: str) -> str:
    """`text` in canonical decomposition (NFD), in linear time.

    `unicodedata.normalize` orders the marks of a letter in time quadratic in their number, and a caller decides that.
    Where they are in order already, it is quick.
    """
    decomposed = chain.from_iterable(unicodedata.normalize("NFD", char) for char in text)
    runs = groupby(decomposed, lambda char: unicodedata.combining(char) > 0)
    return "".join(chain.from_iterable(sorted(run, key=unicodedata.combining) for _, run in runs))


def _may_be_flood(text: str) -> bool:
    """Whether _flood may match: so long a run has one of the characters that are looked at."""
    return not text.isascii() and not _marks().isdisjoint(text[_ORDINARY_MARKS :: _ORDINARY_MARKS + 1])


@cache
def _flood() -> re.Pattern[str]:
    """Matches more marks in a row than _ORDINARY_MARKS."""
    return re.compile(f"[{''.join(sorted(_marks()))}]{{{_ORDINARY_MARKS + 1}}}")


@cache
def _marks() -> frozenset[str]:
    """Combining marks, characters that decompose into nothing but marks included."""
    characters = map(chr, range(0x300, 0x20000))  # there is no mark beyond
    return frozenset(char for char in characters if all(map(unicodedata.combining, unicodedata.normalize("NFD", char))))


NORMALISATIONS: Mapping[str, Callable[[str], str]] = {
    "none": _unchanged,
    "half_width": _half_width,
    "half_width_composed": _half_width_composed,
}


def normalise(text: str, name: str = DEFAULT_NORMALISATION) -> str:
    """`text` in the normalisation `name`, a key of `NORMALISATIONS`.

    Raises:
        InputError: there is no normalisation of that name.
    """
    if name not in NORMALISATIONS:
        raise InputError(f"unknown normalisation {name!r}; this version knows {', '.join(NORMALISATIONS)}")
    return NORMALISATIONS[name](text)


def comparable(text: str) -> str:
    """What is equal for texts that differ in nothing a reader can see: two of them are one text in a data set."""
    if not text.isprintable():
        text = "".join(char for char in text if char.isspace() or _is_visible(char))
    return normalise(text)


def surrogate_fault(text: str) -> str | None:
    """What is wrong with a text that has no UTF-8, as JSON's escapes can make one; None for all others."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"{text!r:.40} holds half of a surrogate pair at character {error.start + 1}; correct that character"
    return None


def require_list(texts: Any) -> None:
    """Raise InputError for what is no list of texts: one text, what has no order, or is read but once."""
    if isinstance(texts, (str, bytes, bytearray, Mapping)) or not all(map(partial(hasattr, texts), _LISTS_HAVE)):
        shown = f"{texts!r:.40}"
        raise InputError(f"texts is {shown}, a {type(texts).__name__}; give a list of texts")


def check_text(text: str, row: int) -> None:
    """Accept a text that can be classified, normalised or not.

    Control characters are allowed beside others: the tokeniser drops them.

    Args:
        text: what a caller sent as a text.
        row: the number that a message gives to the text.

    Raises:
        InputError: `text` is no string, has no visible character, or is longer than MAX_TEXT_CHARACTERS.
    """
    fault = text_fault(text)
    if fault:
        raise InputError(f"row {row}: {fault}")


def text_fault(text: str) -> str | None:
    """What makes `text` one that cannot be classified, and what to do about it; None if nothing does."""
    if not isinstance(text, str):
        return f"a text is needed, not {type(text).__name__} {text!r:.40}"
    if len(text) > MAX_TEXT_CHARACTERS:
        return (
            f"text of {len(text):,} characters is longer than the limit of {MAX_TEXT_CHARACTERS:,}; "
            "shorten it or send it in parts"
        )
    # The first characters tell for nearly every text; of a long one without any, each character is judged once.
    if not (text[:1].isalnum() or any(map(_is_visible, text[:64])) or any(map(_is_visible, set(text)))):
        what = f"text {text!r:.40} has only white space and control characters" if text else "text is empty"
        return f"{what}; leave it out or send a text with visible characters"
    return None


def _is_visible(char: str) -> bool:
    return not char.isspace() and unicodedata.category(char)[0] != "C" and char != "\ufffd"


def decode_text(raw: bytes, row: int) -> str:
    """The text that `raw` holds in UTF-8.

    Raises:
        InputError: `raw` is not UTF-8 (encoded surrogates are not either); names row, byte and offset.
    """
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"row {row}: text is not UTF-8: byte 0x{raw[error.start]:02x} at offset {error.start} "
            f"({error.reason}); send text encoded in UTF-8"
        ) from None
