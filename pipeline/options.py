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
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

from pipeline.errors import InputError
from pipeline.option_values import KEY, REQUIRED, Spec, checked, expected, kind_of, named, own, spec_of

__all__ = ["REQUIRED", "Options", "Row", "create_parser", "option", "parse", "rows"]
WIDTH = 110
"""Columns of help at most."""
NEAR = 0.8
"""Share of two names that is the same, from which one is taken for a slip of the other."""


@dataclass(frozen=True)
class Options:
    """Base of all options. A value of the wrong type or out of range is refused when the object is made.

    Numbers are not read from strings, paths may be strings, and a list stands for a tuple.

    Raises:
        InputError: the message names the option as the command line does.
    """

    def __post_init__(self) -> None:
        for each in dataclasses.fields(self):
            object.__setattr__(self, each.name, checked(each, getattr(self, each.name)))
        self.check()

    def given(self, *names: str) -> list[str]:
        """Those of these options, numbers, words and switches, that were given a value, be it that of the default."""
        defaults = {each.name: each.default for each in dataclasses.fields(self)}
        return [name for name in names if getattr(self, name) is not defaults[name]]

    def check(self) -> None:
        """Raise InputError where options contradict each other; for subclasses to extend."""


AnyOptions = TypeVar("AnyOptions", bound=Options)


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
    bare: str = "",
    in_run: str = "",
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
        bare: the word that the option's name alone, without a value, stands for.
        in_run: of a path, its place in the folder of a run, see `pipeline.run_folder.RunFolderOptions`.
    """
    bounds = (at_least, above, at_most, below)
    switches = (positional, repeated, may_be_empty)
    spec = Spec(help, *bounds, tuple(map(str, choices)), metavar, tuple(aliases), *switches, bare, in_run)
    return field(default=own(default), metadata={KEY: spec})


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
    """A parser whose namespace holds the words of the options that were given, and nothing of the others.

    Its help groups the options by the classes that define them, each under its docstring up to a semicolon.
    """
    parser = Parser(
        prog=prog or _typed(),
        description=(description or options.__doc__ or "").strip(),
        formatter_class=_Formatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
        add_help=False,
    )
    # argparse takes -1 and -.5 for values, but -1e-3 and -inf for options.
    parser._negative_number_matcher = re.compile(r"-(\d|\.\d|inf|nan)", re.IGNORECASE)
    positional = [each for each in _in_order(options) if spec_of(each).positional]
    words = " ".join(
        f"[{spec_of(each).metavar or _METAVARS[kind_of(each)[0]]}{' ...' * kind_of(each)[1]}]" for each in positional
    )
    parser.usage = f"%(prog)s [options]{' ' * bool(words)}{words}"
    for title, group in _groups(options):
        section = parser.add_argument_group(title)
        for each in group:
            _add(section, each)
    parser.add_argument_group("Help").add_argument("-h", "--help", action="help", help="show this text")
    return parser


def _typed() -> str:
    """The command as it was typed, up to its options."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return f"python -m {spec.name.removesuffix('.__main__')}" if spec else f"python {sys.argv[0]}"


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Options and their help in two columns, as wide as the terminal up to WIDTH."""

    def __init__(self, prog: str) -> None:
        width = min(shutil.get_terminal_size().columns, WIDTH)
        super().__init__(prog, max_help_position=28, width=width)


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are InputErrors of one line, with the nearest known option."""

    def error(self, message: str) -> NoReturn:
        known = [name for action in self._actions for name in action.option_strings]
        unknown = [word.partition("=")[0] for word in message.split() if word.startswith("--")]
        near = difflib.get_close_matches(unknown[0], known, 1, NEAR) if "unrecognized" in message and unknown else []
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
        yield Row(named(each), str(each.type), default, spec_of(each).help, expected(each))


def _in_order(options: type[Options]) -> list[dataclasses.Field]:
    """A command's own options stand before those that it shares with others."""
    return [each for _, group in _groups(options) for each in group]


def _groups(options: type[Options]) -> Iterator[tuple[str, list[dataclasses.Field]]]:
    """The options by the class that defines them, each with what its docstring calls them."""
    left = {each.name: each for each in dataclasses.fields(options)}
    for kind in options.__mro__:
        group = [left.pop(name) for name in vars(kind).get("__annotations__", ()) if name in left]
        if group:
            yield re.split(r"[;\n]", kind.__doc__ or "")[0].rstrip("."), group


def _read(each: dataclasses.Field, words: Any) -> Any:
    """Words of the command line as values; what cannot be read stays a word, which `checked` refuses."""
    name, _, _ = kind_of(each)
    if isinstance(words, list):
        return tuple(_read(each, word) for word in words)
    if name == "bool" and isinstance(words, str):
        return {"true": True, "false": False}.get(words.lower(), words)
    for read in {"int": (int, float), "float": (float,)}.get(name, ()):
        with contextlib.suppress(ValueError):
            return read(words)
    return words


def _shown(value: Any) -> str:
    if value is None or value is False or value in ((), ""):
        return ""
    if value is True:
        return "true"
    if isinstance(value, tuple):
        return " ".join(map(_shown, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _default(each: dataclasses.Field) -> str:
    """What the help says of the default, in parentheses."""
    if each.default is REQUIRED:
        return " (required)"
    shown, place = _shown(each.default), spec_of(each).in_run
    of_run = f"with --run NAME: runs/NAME/{place}" if place else ""
    words = "; ".join(filter(None, (f"default: {shown}" if shown else "", of_run)))
    return f" ({words})" if words else ""


def _add(parser: argparse._ArgumentGroup, each: dataclasses.Field) -> None:
    spec, (name, several, _) = spec_of(each), kind_of(each)
    extra: dict[str, Any] = {"help": (spec.help + _default(each)).replace("%", "%%")}
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
        elif spec.bare:
            extra |= {"nargs": "?", "const": spec.bare}
        elif spec.positional:
            extra["nargs"] = "?"  # whether it is required says the dataclass
    if spec.positional:
        parser.add_argument(each.name, **extra)
    else:
        names = [word if word.startswith("-") else f"--{word}" for word in (each.name, *spec.aliases)]
        parser.add_argument(*names, dest=each.name, **extra)


_METAVARS = {"bool": "BOOLEAN", "int": "N", "float": "X", "str": "TEXT", "Path": "PATH"}
