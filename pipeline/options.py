"""Options of commands and of the functions behind them, written once.

    @dataclass(frozen=True)
    class ExportOptions(Options):
        output_path: Path = option("./export", "where the export is written")
        top_k: int | None = option(None, "answer at most so many labels", at_least=1)

    ExportOptions(top_k=0)                        raises InputError: --top_k is 0; give a whole number, at least 1
    parse(ExportOptions, ["--top_k", "0"])        raises the same

Names, types, bounds, defaults and help are written there alone; argparse and the reference page are made from it.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import difflib
import numbers
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import ge, gt, le, lt
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pipeline.errors import InputError

__all__ = ["REQUIRED", "Options", "Row", "create_parser", "option", "parse", "rows"]
REQUIRED: Any = type("Required", (), {"__repr__": lambda self: "REQUIRED"})()
_KEY = "option"
_MOST = {"int": (1 << 63) - 1, "float": sys.float_info.max}  # what arrays hold of each


@dataclass(frozen=True)
class Options:
    """Base of all options. A value of the wrong type or out of range is refused when the object is made.

    Numbers are not read from strings, paths may be strings, and a list stands for a tuple.

    Raises:
        InputError: the message names the option as the command line does.
    """

    def __post_init__(self) -> None:
        for each in dataclasses.fields(self):
            object.__setattr__(self, each.name, _checked(each, getattr(self, each.name)))
        self.check()

    def check(self) -> None:
        """Raise InputError where options contradict each other; for subclasses to extend."""


AnyOptions = TypeVar("AnyOptions", bound=Options)


@dataclass(frozen=True)
class _Spec:
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


def option(
    default: Any = REQUIRED,
    help: str = "",
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    choices: Sequence[str | int] = (),
    metavar: str | None = None,
    aliases: Sequence[str] = (),
    positional: bool = False,
    repeated: bool = False,
    may_be_empty: bool = False,
) -> Any:
    """A field of an `Options` dataclass, annotated with bool, int, float, str, Path, `tuple[..., ...]`, or `| None`.

    Args:
        default: without one the option is required.
        help: one phrase; the default is added to it.
        at_least, above, at_most, below: bounds of a number, or of each number of a tuple.
        choices: the words, or the whole numbers, that may be given.
        aliases: other names on the command line.
        positional: an argument without a name, on the command line.
        repeated: each occurrence on the command line adds one value; otherwise values follow one name.
        may_be_empty: a tuple without a value may be given, as it may anyway where that is the default.
    """
    bounds = (at_least, above, at_most, below)
    spec = _Spec(help, *bounds, tuple(map(str, choices)), metavar, tuple(aliases), positional, repeated, may_be_empty)
    return field(default=default, metadata={_KEY: spec})


def parse(
    options: type[AnyOptions],
    argv: Sequence[str] | None,
    description: str | None = None,
    *,
    prog: str | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> AnyOptions:
    """Options from the words of a command line; `defaults` stand in for those that are not given.

    Raises:
        InputError: a word cannot be used.
        SystemExit: `--help` was given and printed.
    """
    words = vars(create_parser(options, description, prog=prog).parse_args(argv))
    known = {each.name: each for each in dataclasses.fields(options)}
    return options(**{**(defaults or {}), **{name: _read(known[name], given) for name, given in words.items()}})


def create_parser(options: type[Options], description: str | None = None, *, prog: str | None = None) -> Parser:
    """A parser whose namespace holds the words of the options that were given, and nothing of the others."""
    parser = Parser(
        prog=prog,
        description=(description or options.__doc__ or "").strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    # argparse takes -1 and -.5 for values, but -1e-3 and -inf for options.
    parser._negative_number_matcher = re.compile(r"-(\d|\.\d|inf|nan)", re.IGNORECASE)
    for each in _in_order(options):
        _add(parser, each)
    return parser


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are InputErrors of one line, with the nearest known option."""

    def error(self, message: str) -> NoReturn:
        known = [name for action in self._actions for name in action.option_strings]
        unknown = [word.partition("=")[0] for word in message.split() if word.startswith("--")]
        near = difflib.get_close_matches(unknown[0], known, 1) if "unrecognized" in message and unknown else []
        hint = "one that begins with - follows =" if "expected one argument" in message else "--help lists the options"
        raise InputError(f"{message}; {f'did you mean {near[0]}?' if near else hint}")


@dataclass(frozen=True)
class Row:
    """One option, for a reference page: `default` as it is typed, empty where there is none."""

    name: str
    type: str
    default: str
    help: str
    expects: str


def rows(options: type[Options]) -> Iterator[Row]:
    """What there is to know of each option, in the order of `--help`."""
    for each in _in_order(options):
        default = "required" if each.default is REQUIRED else _shown(each.default)
        yield Row(_named(each), str(each.type), default, _spec(each).help, _expected(each))


def _in_order(options: type[Options]) -> list[dataclasses.Field]:
    """A command's own options stand before those that it shares with others."""
    known = {each.name: each for each in dataclasses.fields(options)}
    names = dict.fromkeys(name for kind in options.__mro__ for name in vars(kind).get("__annotations__", ()))
    return [known[name] for name in names if name in known]


def _named(each: dataclasses.Field) -> str:
    return each.name.upper() if _spec(each).positional else f"--{each.name}"


def _spec(each: dataclasses.Field) -> _Spec:
    return each.metadata[_KEY]


def _kind(each: dataclasses.Field) -> tuple[str, bool, bool]:
    """The type's name, whether there may be several, and whether None is allowed."""
    text = str(each.type).replace("Optional[", "").strip()
    optional = text.endswith("| None") or each.default is None
    text = text.replace("| None", "").strip()
    several = text.startswith("tuple[")
    return text.removeprefix("tuple[").partition(",")[0].strip() if several else text, several, optional


def _checked(each: dataclasses.Field, value: Any) -> Any:
    name, several, optional = _kind(each)
    if value is REQUIRED:
        raise InputError(f"{_named(each)} is required: {_spec(each).help}")
    if value is None and optional:
        return None
    if not several:
        return _one(each, name, value)
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise _refusal(each, value)
    if not value and each.default != () and not _spec(each).may_be_empty:
        raise InputError(f"{_named(each)} is empty; give {_expected(each)}")
    return tuple(_one(each, name, part) for part in value)


def _one(each: dataclasses.Field, name: str, value: Any) -> Any:
    spec = _spec(each)
    unfit = not _FITS[name](value) or (name in _MOST and not abs(value) <= _MOST[name])
    if unfit or (spec.choices and str(value) not in spec.choices):
        raise _refusal(each, value)
    if name in _MOST:
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


def _read(each: dataclasses.Field, words: Any) -> Any:
    """Words of the command line as values; what cannot be read stays a word, which `_checked` refuses."""
    name, _, _ = _kind(each)
    if isinstance(words, list):
        return tuple(_read(each, word) for word in words)
    if name == "bool" and isinstance(words, str):
        return {"true": True, "false": False}.get(words.lower(), words)
    for read in {"int": (int, float), "float": (float,)}.get(name, ()):
        with contextlib.suppress(ValueError):
            return read(words)
    return words


def _expected(each: dataclasses.Field) -> str:
    name, several, _ = _kind(each)
    spec = _spec(each)
    if spec.choices:
        return f"{'some' if several else 'one'} of {', '.join(spec.choices)}"
    bounds = {"at least": spec.at_least, "above": spec.above, "at most": spec.at_most, "below": spec.below}
    limits = " and ".join(f"{words} {limit:.10g}" for words, limit in bounds.items() if limit is not None)
    return f"{'a list, each ' if several else ''}{_NAMES[name]}{', ' if limits else ''}{limits}"


def _refusal(each: dataclasses.Field, value: Any) -> InputError:
    near = difflib.get_close_matches(value if isinstance(value, str) else "", _spec(each).choices, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return InputError(f"{_named(each)} is {_quoted(value)}; give {_expected(each)}{hint}")


def _quoted(value: Any) -> str:
    if isinstance(value, int) and abs(value) > _MOST["int"]:
        return f"a number of {value.bit_length():,} bits, which is too large"
    return f"{value!r:.60}" if isinstance(value, (str, bytes)) else f"{value!s:.60}"


def _shown(value: Any) -> str:
    if value is None or value is False or value in ((), ""):
        return ""
    if value is True:
        return "true"
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _add(parser: Parser, each: dataclasses.Field) -> None:
    spec, (name, several, _) = _spec(each), _kind(each)
    shown = _shown(each.default) if each.default is not REQUIRED else "required"
    extra: dict[str, Any] = {"help": (spec.help + (f" ({shown})" if shown else "")).replace("%", "%%")}
    if name == "bool" and not several:
        if each.default is None:
            extra["action"] = argparse.BooleanOptionalAction
        else:  # a switch that is on by default takes a word, so that it can be turned off
            extra |= {"nargs": "?", "const": True, "metavar": "BOOLEAN"} if each.default else {"action": "store_true"}
    else:
        extra["metavar"] = spec.metavar or (f"{{{','.join(spec.choices)}}}" if spec.choices else _METAVARS[name])
        if spec.repeated:
            extra["action"] = "append"
        elif several:
            extra["nargs"] = "*"
        elif spec.positional:
            extra["nargs"] = "?"  # whether it is required says the dataclass
    if spec.positional:
        parser.add_argument(each.name, **extra)
    else:
        names = [word if word.startswith("-") else f"--{word}" for word in (each.name, *spec.aliases)]
        parser.add_argument(*names, dest=each.name, **extra)


_METAVARS = {"bool": "BOOLEAN", "int": "N", "float": "X", "str": "TEXT", "Path": "PATH"}
