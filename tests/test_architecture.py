"""The house stays as it is drawn: which room may import which, and how large a room may be."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.conftest import PROJECT

PACKAGES = ("pipeline", "training", "serving", "clients", "benchmarks")
MOST_MODULES, MOST_LINES, MOST_FUNCTION_LINES = 14, 300, 60

TRAINING_FLOORS = (
    ("training.data", "training.model"),
    ("training.checkpoint",),
    ("training.label_changes", "training.linear", "training.confidence"),
    ("training.loop",),
    ("training.pruning", "training.gate", "training.analysis"),
    ("training.adding",),
)
"""From below: a room imports none beside it, and none of the floors above."""


def _upwards(floors: Sequence[tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {
        room: tuple(other for above in floors[number:] for other in above if other != room)
        for number, floor in enumerate(floors)
        for room in floor
    }


FORBIDDEN = {
    "pipeline": ("training", "serving", "clients", "benchmarks", "demo"),
    "pipeline.text": ("pipeline.compute", "pipeline.labels", "pipeline.metrics", "pipeline.files"),
    "pipeline.labels": ("pipeline.text", "pipeline.compute", "pipeline.metrics", "pipeline.files"),
    "pipeline.files": ("pipeline.compute", "pipeline.metrics"),
    "pipeline.metrics": ("pipeline.compute", "pipeline.files"),
    "pipeline.compute": ("pipeline.metrics",),
    "training": ("clients", "benchmarks", "demo"),
    **_upwards(TRAINING_FLOORS),
    "serving": ("training", "benchmarks", "demo"),
    "serving.process": ("serving.triton", "serving.paddle"),
    "serving.triton": ("serving.paddle",),
    "serving.paddle": ("serving.triton",),
    "clients": ("training", "serving", "benchmarks", "demo"),
    "benchmarks": ("demo",),
}
"""What the modules of a room must not import."""

COMMANDS = {"training": ("training",), "serving": ("serving",)}
"""Rooms whose own modules are commands: no room below may import them, but for what all rooms share."""
SHARED = (
    "training.options",
    *(f"serving.{name}" for name in ("deployment", "folders", "golden", "options", "published", "staging")),
)


def modules() -> Iterator[tuple[str, Path]]:
    for package in PACKAGES:
        for path in sorted((PROJECT / package).rglob("*.py")):
            yield ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__"), path


MODULES = dict(modules())


def imports(path: Path) -> set[str]:
    """Modules of the project that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            named = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name for name in named if name in MODULES} or {node.module}
    return found


def lies_in(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


@pytest.mark.parametrize("room", FORBIDDEN)
def test_imports_run_in_one_direction(room):
    wrong = [
        f"{module} imports {imported}"
        for module, path in MODULES.items()
        if lies_in(module, room)
        for imported in sorted(imports(path))
        if any(lies_in(imported, other) for other in FORBIDDEN[room])
    ]
    assert not wrong


@pytest.mark.parametrize("package", COMMANDS)
def test_no_room_imports_a_command(package):
    """Commands stand on top; what they share with the rooms below them is named in SHARED."""
    commands = {module for module in MODULES if module.count(".") == 1 and lies_in(module, package)} - set(SHARED)
    rooms = {module for module in MODULES if module.count(".") > 1 and lies_in(module, package)}
    commands -= {module.rpartition(".")[0] for module in rooms}
    wrong = [f"{room} imports {name}" for room in sorted(rooms) for name in imports(MODULES[room]) & commands]
    assert not wrong


def test_only_training_and_what_serves_with_it_import_paddle():
    allowed = ("training", "benchmarks", "serving.paddle.service", "pipeline.compute.runtimes.paddle_runtime")
    wrong = [
        module
        for module, path in MODULES.items()
        if not any(lies_in(module, room) for room in allowed)
        and any(name.split(".")[0] in ("paddle", "paddlenlp", "paddleslim") for name in imports(path))
    ]
    assert not wrong


def test_rooms_and_functions_can_be_overlooked():
    folders = Counter(path.parent for path in MODULES.values() if path.name != "__init__.py")
    wrong = [f"{folder}: {count} modules" for folder, count in folders.items() if count > MOST_MODULES]
    for path in [*MODULES.values(), *(PROJECT / "tests").rglob("*.py"), PROJECT / "demo.py"]:
        text = path.read_text(encoding="utf-8")
        if (lines := text.count("\n")) > MOST_LINES:
            wrong.append(f"{path}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MOST_FUNCTION_LINES:
                    wrong.append(f"{path}:{node.lineno} {node.name}: {length} lines")
    assert not wrong
