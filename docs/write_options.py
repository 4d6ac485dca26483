"""Write the reference of every command's options, from the dataclasses behind them, in both languages.

    python docs/write_options.py

`docs/zh/options.json` translates: from each English text to the Chinese one. What it lacks stays English. Both what it
lacks and what it has of texts that are gone is listed: a help text that was changed in the code is translated anew.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.options import Options, Row, rows

DOCS = Path(__file__).resolve().parent
PROJECT = DOCS.parent
TRANSLATIONS = DOCS / "zh" / "options.json"

PAGES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "training": ("Training commands", ("demo.py", "training", "pipeline")),
    "serving": ("Serving commands", ("serving",)),
    "clients": ("Client commands", ("clients",)),
    "benchmarks": ("Benchmark commands", ("benchmarks",)),
}
"""By page: its title and where its commands lie."""
NOTE = "Written by `make docs` from the code; `--help` prints the same."
HEADING = ("option", "takes", "default", "what it does")
EXPECTED = re.compile(
    "(a list, each |one of |some of |true or false|a whole number|a number|a text|a path"
    "|(?:, | and )(?:at least|above|at most|below) |, )"
)
"""The phrases in what an option takes; they are translated one by one, what stands between them is not."""

Say = Callable[[str], str]


IN_PYTHON = "In Python: "


@dataclass(frozen=True)
class Command:
    """A command: how it is called, from a shell and from Python, what it does, and its options."""

    call: str
    functions: tuple[str, ...]
    about: str
    options: type[Options]


def commands(places: tuple[str, ...]) -> Iterator[Command]:
    """The commands in these folders and files, folders after the files beside them."""
    for place in places:
        path = PROJECT / place
        files = [path] if path.is_file() else sorted(path.rglob("*.py"), key=lambda file: (len(file.parts), file))
        for file in files:
            if name := options_name(file):
                yield read_command(file, name)


def options_name(file: Path) -> str | None:
    """The options that a file's `parse_args` gives; None where it has none, and is no command."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name == "parse_args" and isinstance(node.returns, ast.Name):
            return node.returns.id
    return None


def read_command(file: Path, options: str) -> Command:
    relative = file.relative_to(PROJECT)
    name = ".".join(relative.with_suffix("").parts)
    if str(PROJECT) not in sys.path:
        sys.path.insert(0, str(PROJECT))  # where demo.py lies
    module = importlib.import_module(name)
    script = relative.parts[0] in ("training", "demo.py", "pipeline")
    call = f"python {relative}" if script else f"python -m {name.removesuffix('.__main__')}"
    about = " ".join((module.__doc__ or "").split("\n\n")[0].split())
    kind: type[Options] = getattr(module, options)
    found = [*functions(file, name, kind)]
    if kind.__module__ != name:  # a command may stand before the module that does its work
        found += functions(Path(inspect.getfile(kind)), kind.__module__, kind)
    return Command(call, tuple(found), about, kind)


def functions(file: Path, module: str, options: type[Options]) -> Iterator[str]:
    """The public functions of a command's module that take its options, as they are called."""
    kinds = {kind.__name__ for kind in options.__mro__ if issubclass(kind, Options) and kind is not Options}
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("_") or not node.args.args:
            continue
        taken, gives = node.args.args[0].annotation, node.returns
        if isinstance(taken, ast.Name) and taken.id in kinds and gives is not None:
            yield f"{module}.{node.name}({taken.id}(...)) -> {ast.unparse(gives)}"


def page(title: str, places: tuple[str, ...], say: Say) -> str:
    parts = [f"# {say(title)}\n\n{say(NOTE)}\n"]
    for command in commands(places):
        heading = [tuple(map(say, HEADING)), ("---",) * len(HEADING)]
        table = [*heading, *(cells(row, say) for row in rows(command.options))]
        lines = "\n".join(f"| {' | '.join(line)} |" for line in table)
        calls = say(", ").join(f"`{call}`" for call in command.functions)
        calls = f"{say(IN_PYTHON)}{calls}\n\n" if calls else ""
        parts.append(f"## `{command.call}`\n\n{say(command.about)}\n\n{calls}{lines}\n")
    return "\n".join(parts)


def cells(row: Row, say: Say) -> tuple[str, ...]:
    parts = EXPECTED.split(row.expects)
    expects = "".join(say(part) if place % 2 else part for place, part in enumerate(parts))
    default = say("required") if row.default == "required" else f"`{row.default}`" if row.default else ""
    return (f"`{row.name}`", expects, default, say(row.help).replace("|", "\\|"))


def translation() -> Mapping[str, str]:
    return json.loads(TRANSLATIONS.read_text(encoding="utf-8"))


def pages() -> dict[Path, str]:
    """The text of every page by its path, in both languages."""
    known = translation()
    languages: dict[str, Say] = {"en": lambda text: text, "zh": lambda text: known.get(text, text)}
    return {
        DOCS / language / "reference" / f"{name}.md": page(title, places, say)
        for language, say in languages.items()
        for name, (title, places) in PAGES.items()
    }


def texts() -> list[str]:
    """The English texts of all pages."""
    found: dict[str, None] = {}

    def say(text: str) -> str:
        if text:
            found[text] = None
        return text

    for title, places in PAGES.values():
        page(title, places, say)
    return list(found)


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
    said, known = set(texts()), set(translation())
    for fault, left in (("lacks", said - known), ("still has", known - said)):
        for text in sorted(left):
            print(f"{TRANSLATIONS.relative_to(PROJECT)} {fault} {json.dumps(text)}", file=sys.stderr)
