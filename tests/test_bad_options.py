"""A value that an option cannot take is refused in the same words from Python and from the shell, by every command."""

from __future__ import annotations

import dataclasses
import runpy
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.errors import InputError
from pipeline.options import REQUIRED, Options, parse, rows
from tests.conftest import PROJECT

REFERENCE = runpy.run_path(str(PROJECT / "docs" / "write_options.py"))


def all_options() -> list[type[Options]]:
    """Of every command that the reference lists."""
    return [command.options for _, places in REFERENCE["PAGES"].values() for command in REFERENCE["commands"](places)]


def usable(each: dataclasses.Field) -> Any:
    """A value for an option that is required."""
    kind, choices = str(each.type), each.metadata["option"].choices
    value = choices[0] if choices else {"int": 1, "float": 1.0}.get(kind, "data")
    return [value] if kind.startswith("tuple") else value


def unusable(options: type[Options]) -> Iterator[tuple[dataclasses.Field, Any]]:
    """A number beyond each bound, and a word that is neither a number nor a choice."""
    for each in dataclasses.fields(options):
        spec, whole = each.metadata["option"], "int" in str(each.type)
        beyond = {spec.at_least: -1, spec.above: 0, spec.at_most: 1, spec.below: 0}
        numbers = [
            limit + beyond[limit] * (1 if whole else max(1e-6, abs(limit) * 1e-9)) for limit in beyond.keys() - {None}
        ]
        for value in [*numbers, *["?"] * bool(numbers or spec.choices)]:
            yield each, value


def test_python_and_the_shell_are_answered_alike():
    tried = 0
    for options in all_options():
        described = {row.name.strip("-").lower(): row for row in rows(options)}
        required = {each.name: usable(each) for each in dataclasses.fields(options) if each.default is REQUIRED}
        for each, value in unusable(options):
            row, several = described[each.name], "tuple" in str(each.type)
            word = f"{row.name}={value}" if row.name.startswith("--") else str(value)
            with pytest.raises(InputError) as from_python:
                options(**{**required, each.name: [value] if several else value})
            with pytest.raises(InputError) as from_shell:
                parse(options, [word], defaults=required)
            assert str(from_shell.value) == str(from_python.value)
            assert str(from_python.value).startswith(f"{row.name} is ")
            assert f"; give {row.expects}" in str(from_python.value)
            tried += 1
    assert tried > 100
