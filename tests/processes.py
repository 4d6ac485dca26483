"""What several processes of `pytest -n` share, and in which order they take the tests."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from pathlib import Path
from typing import Callable

import pytest

TESTS = Path(__file__).resolve().parent
SHARED = {"checkpoint", "bundle_path", "linear", "triton", "service", "browser", "python39"}
"""Fixtures that take long, or of which there should be few at a time: what needs one stays together, by folder."""
TOGETHER = {"serving/bulk": "console", "serving/console": "console"}
TOGETHER |= {"serving": "servers", "clients": "servers", "examples": "servers"}
ALONE = {"pipeline": "pipeline", "docs": "pages and models", "training/model": "pages and models"}
"""Of what needs none, what the others run while the first process trains the checkpoint."""
ORDER = ("training", "pipeline", "pages and models", "servers", "console")
"""Of the groups; then come files by themselves, which end the processes at the same time."""


def set_groups(items: list[pytest.Item], sort: bool) -> None:
    """Mark tests with their groups; each process takes one after another, in the order that `sort` brings about."""
    needs: dict[Path, set[str]] = {}
    for item in items:
        if re.search(r"\{'[^':]*', '", item.nodeid):
            raise pytest.UsageError(f"{item.nodeid} is named after a set, whose order differs between two processes")
        needs.setdefault(item.path, set()).update(getattr(item, "fixturenames", ()))
    groups = {path: group(path.relative_to(TESTS).as_posix(), fixtures) for path, fixtures in needs.items()}
    for item in items:
        item.add_marker(pytest.mark.xdist_group(groups[item.path]))
    if sort:
        items.sort(key=lambda item: (*ORDER, groups[item.path]).index(groups[item.path]))


def group(file: str, fixtures: set[str]) -> str:
    """The group of a file of tests that need these fixtures."""
    shared = bool(fixtures & SHARED)
    for folder, name in (TOGETHER if shared else ALONE).items():
        if file.startswith(f"{folder}/"):
            return name
    return "training" if shared else file


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A copy of the folder that the first process to need it makes.

    Args:
        name: of the folder.
        make: fills the folder that it is given, which does not exist.
    """
    base = factory.getbasetemp()
    first = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"once-{name}"
    done = first.with_name(f"{first.name}.done")
    with first.with_name(f"{first.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(first, ignore_errors=True)
            make(first)
            done.touch()
    return Path(shutil.copytree(first, factory.mktemp(name) / name, symlinks=True))
