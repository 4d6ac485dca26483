"""What the values of an option may be: its type, its bounds, and the refusal of what does not fit."""

from __future__ import annotations

import dataclasses
import difflib
import numbers
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import ge, gt, le, lt
from pathlib import Path
from typing import Any

from pipeline.errors import InputError

REQUIRED: Any = type("Required", (), {"__repr__": lambda self: "REQUIRED"})()
KEY = "option"
AUTO = "auto"
"""The word of an option that leaves the choice to the program."""
_MOST = {"int": (1 << 63) - 1, "float": sys.float_info.max}  # what arrays hold of each


class _Int(int):
    """A default; see `own`."""


class _Float(float):
    """A default; see `own`."""


class _Str(str):
    """A default; see `own`."""


def own(default: Any) -> Any:
    """An object of its own, by which a default is told from an equal value that was given."""
    kinds: dict[type, Callable[[Any], Any]] = {int: _Int, float: _Float, str: _Str}
    kind = kinds.get(type(default))
    return kind(default) if kind else default


@dataclass(frozen=True)
class Spec:
    help: str
    at_least: float | None
    above: float | None
    at_most: float | None
    below: float | None
    choices: tuple[str, ...]
    metavar: str | None
    aliases: tuple[str, ...]
    positional: bool
    repeated: bool
    may_be_empty: bool
    bare: str
    in_run: str


def named(each: dataclasses.Field) -> str:
    return each.name.upper() if spec_of(each).positional else f"--{each.name}"


def spec_of(each: dataclasses.Field) -> Spec:
    return each.metadata[KEY]


def kind_of(each: dataclasses.Field) -> tuple[str, bool, bool]:
    """The type's name, whether there may be several, and whether None is allowed."""
    text = str(each.type).replace("Optional[", "").strip()
    optional = text.endswith("| None") or each.default is None
    text = text.replace("| None", "").strip()
    several = text.startswith("tuple[")
    return text.removeprefix("tuple[").partition(",")[0].strip() if several else text, several, optional


def checked(each: dataclasses.Field, value: Any) -> Any:
    name, several, optional = kind_of(each)
    if value is REQUIRED:
        raise InputError(f"{named(each)} is required: {spec_of(each).help}")
    if value is None and optional:
        return None
    if not several:
        return _one(each, name, value)
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise _refusal(each, value)
    if not value and each.default != () and not spec_of(each).may_be_empty:
        raise InputError(f"{named(each)} is empty; give {expected(each)}")
    return tuple(_one(each, name, part) for part in value)


def _one(each: dataclasses.Field, name: str, value: Any) -> Any:
    spec = spec_of(each)
    unfit = not _FITS[name](value) or (name in _MOST and not abs(value) <= _MOST[name])
    if unfit or (spec.choices and str(value) not in spec.choices):
        raise _refusal(each, value)
    if name in _MOST:
        if value is not each.default:
            value = int(value) if name == "int" else float(value)
        limits = ((ge, spec.at_least), (gt, spec.above), (le, spec.at_most), (lt, spec.below))
        if not all(limit is None or holds(value, limit) for holds, limit in limits):
            raise _refusal(each, value)
    return Path(value) if name == "Path" else value


_FITS: dict[str, Callable[[Any], bool]] = {
    "bool": lambda value: isinstance(value, bool),
    "int": lambda value: isinstance(value, numbers.Integral) and not isinstance(value, bool),
    "float": lambda value: isinstance(value, numbers.Real) and not isinstance(value, bool),
    "str": lambda value: isinstance(value, str) and "\0" not in value,
    "Path": lambda value: isinstance(value, (str, os.PathLike)) and "\0" not in (os.fspath(value) or "\0"),
}
_NAMES = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "a text", "Path": "a path"}


def expected(each: dataclasses.Field) -> str:
    name, several, _ = kind_of(each)
    spec = spec_of(each)
    if spec.choices:
        return f"{'some' if several else 'one'} of {', '.join(spec.choices)}"
    bounds = {"at least": spec.at_least, "above": spec.above, "at most": spec.at_most, "below": spec.below}
    limits = " and ".join(f"{words} {limit:.10g}" for words, limit in bounds.items() if limit is not None)
    return f"{'a list, each ' if several else ''}{_NAMES[name]}{', ' if limits else ''}{limits}"


def _refusal(each: dataclasses.Field, value: Any) -> InputError:
    near = difflib.get_close_matches(value if isinstance(value, str) else "", spec_of(each).choices, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return InputError(f"{named(each)} is {_quoted(value)}; give {expected(each)}{hint}")


def _quoted(value: Any) -> str:
    if isinstance(value, int) and abs(value) > _MOST["int"]:
        return f"a number of {value.bit_length():,} bits, which is too large"
    return f"{value!r:.60}" if isinstance(value, (str, bytes)) else f"{value!s:.60}"
