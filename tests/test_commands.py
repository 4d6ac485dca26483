"""Every command: its options come from a dataclass, and `--help` says what each of them is for."""

from __future__ import annotations

import ast
import importlib
import typing

import pytest

from pipeline.options import Options, rows
from tests.conftest import PROJECT
from tests.test_architecture import MODULES, imports

READ_ALONE = ("likewise", "that", "this", "it", "as above", "the same", "instead")
"""No help text begins with these words: they speak of the option before."""


def functions(path):
    return {node.name for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)}


COMMANDS = sorted(
    name for name, path in {**MODULES, "demo": PROJECT / "demo.py"}.items() if "parse_args" in functions(path)
)


def options_of(module):
    """The dataclass that `parse_args` gives."""
    return typing.get_type_hints(module.parse_args)["return"]


def without_spaces(text):
    """Lines may break anywhere."""
    return "".join(text.split())


@pytest.fixture
def module(request):
    return importlib.import_module(request.param)


def test_commands_are_found():
    assert {"demo", "training.train", "serving.publish", "clients.rpc_client", "pipeline.infer"} <= set(COMMANDS)


@pytest.mark.parametrize("module", COMMANDS, indirect=True)
def test_help_says_what_a_command_and_its_options_are_for(module, capsys):
    options = options_of(module)
    assert issubclass(options, Options)
    with pytest.raises(SystemExit) as left:
        module.parse_args(["--help"])
    assert left.value.code == 0
    shown = without_spaces(capsys.readouterr().out)
    assert without_spaces(module.__doc__) in shown
    for row in rows(options):
        assert len(row.help.split()) >= 2, row.name
        assert not row.help.lower().startswith(READ_ALONE), f"{row.name}: {row.help}"
        assert without_spaces(row.help) in shown, row.name
        assert not row.default.startswith("/"), f"{row.name}: {row.default} is a path of this machine"


@pytest.mark.parametrize("module", COMMANDS, indirect=True)
def test_a_command_does_nothing_when_it_is_imported_and_can_be_called(module):
    assert callable(module.main)
    assert options_of(module).__dataclass_params__.frozen


def test_options_are_read_in_one_place():
    reading = {name for name, path in MODULES.items() if "argparse" in imports(path)}
    assert reading == {"pipeline.options"}
