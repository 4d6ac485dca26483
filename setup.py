"""What `pip install '.[client]'` gives: the clients, and the modules of `pipeline` that they import, under one name.

`clients/triton.py` becomes `hierarchical_text_classifier/clients/triton.py`, so that nobody's `clients` or `pipeline`
is in the way; imports are rewritten. All else is never installed: `make setup` puts this folder on the path of .venv.
"""

import ast
import re
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

NAME = "hierarchical_text_classifier"
ROOMS = ("clients", "pipeline")
PROJECT = Path(__file__).resolve().parent
OWN_NAME = re.compile(rf"(?m)(^\s*(?:from|import)\s+|python -m )(?=(?:{'|'.join(ROOMS)})\.)")
"""Where a line names a module of ours: an import, in the code or in an example, and a command."""


def modules() -> dict[str, Path]:
    """The clients' modules and all that they import of ours, by name; and the folders above."""
    found: dict[str, Path] = {}
    waiting = [f"clients.{path.stem}" for path in sorted((PROJECT / "clients").glob("[!_]*.py"))]
    while waiting:
        name = waiting.pop()
        path = PROJECT.joinpath(*name.split(".")).with_suffix(".py")
        path = path if path.exists() else path.with_suffix("") / "__init__.py"
        if name.partition(".")[0] not in ROOMS or name in found or not path.exists():
            continue
        found[name] = path
        waiting.append(name.rpartition(".")[0])
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                waiting += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found


class BuildClients(build_py):
    """Writes the modules under their new name."""

    def get_source_files(self) -> list[str]:
        return [str(path.relative_to(PROJECT)) for path in modules().values()]

    def run(self) -> None:
        if self.editable_mode:
            raise SystemExit("the clients cannot be installed editable; work in this folder after `make setup`")
        folder = Path(self.build_lib) / NAME
        shutil.rmtree(folder, ignore_errors=True)  # of an earlier build
        self.mkpath(str(folder))
        (folder / "__init__.py").write_text('"""Clients of the served hierarchical text classifier."""\n')
        for path in modules().values():
            target = folder / path.relative_to(PROJECT)
            self.mkpath(str(target.parent))
            target.write_text(OWN_NAME.sub(rf"\g<1>{NAME}.", path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    setup(packages=[NAME], cmdclass={"build_py": BuildClients})
