"""The Python that an environment is made with: `.tools/bin/python requirements/interpreter.py` prints where one for
.venv is, with the word `serving` one for .venv-serving.

It is the one that a variable names, the one behind .tools, or one on PATH, of pyenv or of uv; else uv fetches one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from machine import OS_RELEASE, installation

VARIABLE, VERSIONS = "PYTHON", ("3.11", "3.12", "3.10")
"""Of .venv: what paddle and Triton exist for, those that more is tried with first."""
SERVING_VARIABLE, SERVING_VERSIONS = "PYTHON39", ("3.9",)
"""Of .venv-serving: paddle-serving-client exists for Python 3.6 to 3.9 alone, and its grpcio excludes that of .venv."""
UV = Path(sys.executable).with_name("uv")
PROBE_SECONDS, FETCH_SECONDS = 30, 600
PROBE = """
import ctypes, platform, ssl, sys
fits = platform.python_implementation() == "CPython" and sys.maxsize > 2**32
print("{}.{}".format(*sys.version_info[:2]) if fits else "", getattr(sys, "_base_executable", sys.executable))
"""


class NoPython(Exception):
    """There is no such Python; the message says what to do."""


def find(variable: str, versions: Sequence[str]) -> str:
    """The path of a Python of one of `versions`.

    Raises:
        NoPython: there is none and none can be fetched, or the only version that will do is not what `variable` names.
    """
    named = os.environ.get(variable, "")
    if named and (program := fitting(named, versions)):
        return program
    if named and len(versions) == 1:
        raise NoPython(f"{variable} is {named}, which is no Python {versions[0]} that runs; name one, or leave it out")
    for candidate in _candidates(versions):
        if program := fitting(candidate, versions):
            return program
    wanted = " or ".join(versions)
    print(f"no Python {wanted} is here: uv fetches {versions[0]}", file=sys.stderr)
    done = _uv("install", versions[0], seconds=FETCH_SECONDS)
    fetched = _uv("find", "--managed-python", "--no-python-downloads", versions[0]).stdout.strip()
    if program := fitting(fetched, versions):
        return program
    reason = (done.stderr.strip().splitlines() or ["what it fetched does not run"])[-1].replace("Caused by: ", "")
    release = OS_RELEASE.read_text(encoding="utf-8") if OS_RELEASE.exists() else ""
    packages = filter(None, (installation(release, version) for version in versions))
    install = next(packages, f"pyenv install {versions[0]}")
    raise NoPython(
        f"no Python {wanted} is on PATH, of pyenv or of uv, and uv cannot fetch one ({reason.strip()}): install one "
        f"({install}), name one ({variable}=/path/to/python{versions[0]}), or name a mirror of uv's builds "
        "(UV_PYTHON_INSTALL_MIRROR)"
    )


def fitting(program: str, versions: Sequence[str]) -> str:
    """Where the Python behind `program` really is, if it runs and is of one of `versions`; or else nothing."""
    # pyenv puts a python3.9 on PATH that only says where there would be one; another may lack a library.
    path = shutil.which(program)
    version, _, place = _run([path, "-c", PROBE], PROBE_SECONDS).stdout.strip().partition(" ") if path else ("", "", "")
    return place if version in versions else ""


def _candidates(versions: Sequence[str]) -> Iterator[str]:
    yield sys.executable
    for version in versions:
        yield f"python{version}"
        installed = Path.home().glob(f".pyenv/versions/{version}*/bin/python{version}")
        yield from sorted(map(str, installed), reverse=True)
        yield _uv("find", "--system", "--no-python-downloads", version).stdout.strip()


def _uv(command: str, *words: str, seconds: int = PROBE_SECONDS) -> subprocess.CompletedProcess[str]:
    return _run([str(UV), "python", command, *words], seconds)


def _run(command: Sequence[str], seconds: int) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))


if __name__ == "__main__":
    variable, versions = (SERVING_VARIABLE, SERVING_VERSIONS) if sys.argv[1:] == ["serving"] else (VARIABLE, VERSIONS)
    try:
        print(find(variable, versions))
    except NoPython as fault:
        print(f"error: {fault}", file=sys.stderr)
        sys.exit(3)
