"""The command line of `prune.py`: its words, then a configuration file, then the defaults."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.options import option, parse, rows
from pipeline.records import read_json
from training.pruning.options import WIDTHS, WIDTHS_ALIAS, PruningRun

CONFIG_FILE = "prune_config.json"


@dataclass(frozen=True)
class PruneCommand(PruningRun):
    """Where further values come from, and what older command lines give; and all else of pruning."""

    prune_config: Path | None = option(
        None, f"JSON object with values for options that are not given here ({CONFIG_FILE}, if there)"
    )
    model_name_or_path: str | None = option(None, "accepted for older command lines; the checkpoint knows its model")


def parse_command(argv: Sequence[str] | None, description: str | None) -> PruneCommand:
    """Options from the words of a command line; values of the file that its --prune_config names are defaults.

    Options of paddlenlp's `TrainingArguments` and `CompressionArguments` that mean nothing here are accepted with a
    note.

    Raises:
        InputError: the file is unreadable, or no JSON object; an option that nobody knows; a value of the wrong kind.
        SystemExit: `--help` was given and printed.
    """
    options = {row.name.strip("-") for row in rows(PruneCommand)}
    given = list(_by_option(sys.argv[1:] if argv is None else argv))
    path, config = _read_config([words for name, words in given if name == "prune_config"])
    foreign = _without_effect({*(name for name, _ in given), *config} - {*options, "help", ""})
    defaults = {name: value for name, value in config.items() if name not in foreign}
    if lacking := sorted(set(defaults) - options):
        raise InputError(f"{path}: prune.py has no option {lacking[0]}; --help lists the options")
    words = [word for name, group in given if name not in foreign for word in group]
    try:
        return parse(PruneCommand, words, description, defaults=defaults)
    except InputError as error:
        if str(error).split()[0].strip("-") in set(defaults) - {name for name, _ in given}:
            raise InputError(f"{path}: {error}") from error
        raise


def _by_option(argv: Sequence[str]) -> Iterable[tuple[str, list[str]]]:
    """The name of each option, with all words up to the next one; words before the first have no name."""
    groups: list[list[str]] = []
    for word in argv:
        if word.startswith("--") or not groups:
            groups.append([])
        groups[-1].append(word)
    for group in groups:
        name = group[0].removeprefix("--").partition("=")[0] if group[0].startswith("--") else ""
        yield WIDTHS if name == WIDTHS_ALIAS else name, group


def _read_config(given: list[list[str]]) -> tuple[Path, dict[str, Any]]:
    """The file that was named last, or CONFIG_FILE if it is there, and its values."""
    words = given[-1] if given else []
    named = words[0].partition("=")[2] or "".join(words[1:]) if words else ""
    path = Path(named or CONFIG_FILE)
    if not named and not path.exists():
        return path, {}
    try:
        config = read_json(path)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read --prune_config {path}: {error}") from error
    if not isinstance(config, dict):
        raise InputError(f'{path} holds no JSON object; write for example {{"learning_rate": 3e-5}}')
    print(f"note: options that the command line leaves out are taken from {path}", file=sys.stderr)
    config = {WIDTHS if name == WIDTHS_ALIAS else name: value for name, value in config.items() if value is not None}
    if WIDTHS in config:
        widths = config[WIDTHS] if isinstance(config[WIDTHS], list) else [config[WIDTHS]]
        config[WIDTHS] = tuple(map(str, widths))
    return path, config


def _without_effect(names: set[str]) -> set[str]:
    """Those that paddlenlp's arguments know, each with a note."""
    if not names:
        return set()
    foreign = names & paddlenlp_arguments()
    for name in sorted(foreign):
        print(f"note: --{name} has no effect on pruning here", file=sys.stderr)
    return foreign


def paddlenlp_arguments() -> set[str]:
    """The fields of paddlenlp's TrainingArguments and CompressionArguments, read from its source.

    Importing it takes seconds, and a misspelt option is to be told at once.
    """
    found = importlib.util.find_spec("paddlenlp")
    folder = Path(found.origin or "").parent / "trainer" if found else Path()
    names = set()
    for path in filter(Path.exists, (folder / "training_args.py", folder / "compression_args.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and node.name.endswith("Arguments"):
                fields = (part.target for part in node.body if isinstance(part, ast.AnnAssign))
                names |= {target.id for target in fields if isinstance(target, ast.Name)}
    return names
