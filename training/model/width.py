"""The width that pruning keeps of an encoder, without importing paddle."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from pipeline.errors import InputError


def parse_widths(words: str | Sequence[str]) -> list[Fraction]:
    """Widths from a word or words such as `2/3`, `0.75` or `3/4,1/2`, in the given order, each once.

    Raises:
        InputError: a word is no fraction, lies outside (0, 1], or there is none.
    """
    words = [words] if isinstance(words, str) else words
    parts = [part.strip() for word in words for part in word.strip("[] ").split(",") if part.strip()]
    if not parts:
        raise InputError("--width_mult names no width; give for example 2/3")
    return list(dict.fromkeys(_parse(part) for part in parts))


def _parse(word: str) -> Fraction:
    try:
        width = Fraction(word.strip("'\""))
    except (ValueError, ZeroDivisionError) as error:
        raise InputError(f"--width_mult {word!r} is no number; give a fraction such as 2/3 or 0.75") from error
    if not 0 < width <= 1:
        raise InputError(f"--width_mult is {word}; it must be above 0 and at most 1")
    fraction = width.limit_denominator(1000)
    return fraction if float(fraction) == float(width) else width  # 0.6666666666666666 is how a float writes 2/3


def kept(count: int, width: Fraction) -> int:
    """How many of `count` heads are kept.

    Raises:
        InputError: it is no whole number.
    """
    exact = count * width
    if exact.denominator != 1:
        step = Fraction(1, count)
        near = [part * step for part in (math.floor(exact), math.ceil(exact)) if part]
        raise InputError(
            f"--width_mult {width} leaves {float(exact):.2f} of {count} attention heads in a layer; give a multiple of "
            f"{step}, such as {' or '.join(map(str, near))}"
        )
    return int(exact)


def folder_name(width: Fraction) -> str:
    """The name of the folder that a pruned model is written to, `0.6666666666666666` for 2/3."""
    return str(float(width))
