"""The Python 3.9 that Paddle Serving runs in: `python -m serving.paddle.environment` prints where one is.

paddle-serving-client exists for Python 3.6 to 3.9 alone, and its grpcio excludes the one of .venv.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.command import run
from pipeline.errors import EnvironmentFault
from serving.folders import PROJECT

VARIABLE = "PYTHON39"
ENVIRONMENT = PROJECT / ".venv-serving"
UV = PROJECT / ".tools" / "bin" / "uv"
PROBE_SECONDS = 30


def find_python39() -> Path:
    """A Python 3.9 that runs: the one that PYTHON39 names, or one on PATH, of pyenv or of uv.

    Raises:
        EnvironmentFault: there is none, or PYTHON39 names another.
    """
    named = os.environ.get(VARIABLE)
    if named:
        program = shutil.which(named)
        if program is None or not _is_python39(program):
            raise EnvironmentFault(
                f"{VARIABLE} is {named}, which is no Python 3.9 that runs; name one, or leave it out"
            )
        return Path(program)
    for candidate in _candidates():
        if _is_python39(candidate):
            return Path(candidate)
    raise EnvironmentFault(
        "there is no Python 3.9, which Paddle Serving needs, on PATH or under ~/.pyenv/versions; name one "
        f"({VARIABLE}=/path/to/python3.9), or get one with `pyenv install 3.9` or `.tools/bin/uv python install 3.9`"
    )


def serving_python() -> Path:
    """The interpreter of .venv-serving.

    Raises:
        EnvironmentFault: it is not there.
    """
    python = ENVIRONMENT / "bin" / "python"
    if not (ENVIRONMENT / ".ready").exists():
        raise EnvironmentFault(f"{ENVIRONMENT} is not there: `make serve-paddle` or `make setup-paddle` prepares it")
    return python


def _candidates() -> Iterator[str]:
    on_path = shutil.which("python3.9")
    if on_path:
        yield on_path
    yield from sorted(map(str, Path.home().glob(".pyenv/versions/3.9*/bin/python3.9")), reverse=True)
    if UV.exists():
        found = _output([str(UV), "python", "find", "--no-python-downloads", "3.9"])
        if found:
            yield found


def _is_python39(program: str) -> bool:
    # pyenv puts a python3.9 on PATH that only says where there would be one.
    return _output([program, "-c", "import sys; print(*sys.version_info[:2])"]) == "3 9"


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def main(argv: Sequence[str] | None = None) -> None:
    print(find_python39())


if __name__ == "__main__":
    run(main)
