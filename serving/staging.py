"""Which files of the project a script imports, and copying it along with them."""

from __future__ import annotations

import ast
import compileall
import functools
import hashlib
import py_compile
import shutil
from collections.abc import Container, Iterator
from pathlib import Path

from pipeline.errors import BundleError
from pipeline.files.checksums import sha256_file
from serving.folders import PROJECT

STAGED_PACKAGES = ("pipeline", "serving")


SEAL_FILE = "code.sha256"
"""In the format of `sha256sum --check`."""


def write_seal(folder: Path, *more: str) -> None:
    """List the code in a folder with its checksums, and `more` files of it."""
    code = (path.relative_to(folder).as_posix() for path in folder.rglob("*.py"))
    lines = [f"{sha256_file(folder / name)}  {name}\n" for name in sorted({*code, *more})]
    (folder / SEAL_FILE).write_text("".join(lines), encoding="utf-8")


def verify_seal(folder: Path, *apart: str) -> None:
    """Hold what `write_seal` listed against it; what earlier releases wrote has no list and passes.

    Args:
        folder: where it was written.
        apart: names of files that may differ.

    Raises:
        BundleError: a file is missing or has changed.
    """
    if not (folder / SEAL_FILE).exists():
        return
    for line in (folder / SEAL_FILE).read_text(encoding="utf-8", errors="replace").splitlines():
        digest, _, name = line.partition("  ")
        path = folder / name
        if name not in apart and not (path.is_file() and sha256_file(path) == digest):
            raise BundleError(f"{path} is damaged, missing or changed since it was published; publish the bundle again")


def copy_modules(script: Path, folder: Path, target: Path | str) -> None:
    """Copy `script` to `target` in `folder`, and the modules of the project that it needs beside it, byte for byte."""
    modules = {module: PROJECT / module for module in imported_modules(script, PROJECT, STAGED_PACKAGES)}
    for place, source in {Path(target): script, **modules}.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / place)
    # Compiled here, or Python would do it beside the source when the model is loaded: a folder that has changed since
    # is loaded anew whenever Triton looks at it. By hash, so that copies of the folder keep it.
    compileall.compile_dir(folder, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)


@functools.cache
def software() -> str:
    """What tells the code that is published today from that of another day: 12 hexadecimal digits."""
    digest = hashlib.sha256()
    for package in STAGED_PACKAGES:
        for module in sorted((PROJECT / package).rglob("*.py")):
            digest.update(f"{module.relative_to(PROJECT)}\0".encode() + module.read_bytes())
    return digest.hexdigest()[:12]


def imported_modules(script: Path, project: Path, packages: Container[str]) -> list[Path]:
    """Files of `packages`, relative to `project`, that `script` imports, directly or through one of them.

    A package that is imported itself counts with all its modules, since it may import those by name.
    """
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        for name in _imported_names(waiting.pop()):
            if name.split(".")[0] not in packages:
                continue
            for module in _files(project, name):
                if module not in found:
                    found.add(module)
                    waiting.append(project / module)
    return sorted(found)


def _imported_names(script: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def _files(project: Path, name: str) -> Iterator[Path]:
    parts = name.split(".")
    for depth in range(1, len(parts)):
        yield Path(*parts[:depth], "__init__.py")
    target = Path(*parts)
    if (project / target).is_dir():
        yield from sorted(file.relative_to(project) for file in (project / target).glob("*.py"))
    else:
        yield target.with_suffix(".py")
