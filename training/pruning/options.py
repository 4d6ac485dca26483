"""The options of `prune.py`: the command line, then a configuration file, then defaults."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import InputError

CONFIG_FILE = "prune_config.json"


def parse_with_config(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse `argv`; values of the file that its --prune_config names stand in for defaults.

    Options of paddlenlp's `TrainingArguments` and `CompressionArguments` that mean nothing here are accepted with a
    note.

    Raises:
        InputError: the file is unreadable, or no JSON object, or a value in it is of the wrong kind.
        SystemExit: an option that nobody knows.
    """
    first, _ = parser.parse_known_args(argv)
    path = Path(first.prune_config or CONFIG_FILE)
    config = _read_config(path) if first.prune_config or path.exists() else {}
    known = {action.dest: action for action in parser._actions}
    parser.set_defaults(**{name: _default(path, known[name], value) for name, value in config.items() if name in known})
    args, unknown = parser.parse_known_args(argv)
    named = [word[2:].split("=")[0] for word in unknown if word.startswith("--")]
    if len(unknown) > len(named) and not named:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    lacking = _without_effect([*named, *(name for name in config if name not in known)])
    if lacking:
        parser.error(f"unrecognized arguments: {' '.join(lacking)}")
    return args


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot read --prune_config {path}: {error}") from error
    if not isinstance(config, dict):
        raise InputError(f'{path} holds no JSON object; write for example {{"learning_rate": 3e-5}}')
    print(f"note: options that the command line leaves out are taken from {path}", file=sys.stderr)
    return {name: value for name, value in config.items() if value is not None}


def _default(path: Path, action: argparse.Action, value: Any) -> Any:
    """A value of the file as argparse would have made it of the command line's words."""
    if isinstance(action.const, bool):
        if not isinstance(value, bool):
            raise InputError(f"{path}: {action.dest} is {value!r}; give true or false")
        return value
    convert = action.type if callable(action.type) else str
    try:
        if action.nargs == "+":
            return [convert(str(part)) for part in (value if isinstance(value, list) else [value])]
        converted = convert(str(value))
    except ValueError as error:
        raise InputError(f"{path}: {action.dest} is {value!r}: {error}") from error
    if action.choices and converted not in action.choices:
        raise InputError(f"{path}: {action.dest} is {value!r}; choose one of {', '.join(map(str, action.choices))}")
    return converted


def _without_effect(names: Iterable[str]) -> list[str]:
    """Note those that paddlenlp's arguments know; returns the others, as options."""
    names = list(names)
    if not names:
        return []
    from paddlenlp.trainer import CompressionArguments

    known = set(CompressionArguments.__dataclass_fields__)
    for name in names:
        if name in known:
            print(f"note: --{name} has no effect on pruning here", file=sys.stderr)
    return [f"--{name}" for name in names if name not in known]
