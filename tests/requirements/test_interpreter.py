"""A Python for each environment is found wherever it is, or it is said what brings one."""

import sys
from pathlib import Path

import interpreter
import pytest
from interpreter import SERVING_VARIABLE, SERVING_VERSIONS, VARIABLE, VERSIONS, NoPython, find, fitting

from tests.conftest import PROJECT

OWN = "{}.{}".format(*sys.version_info)
OTHER = next(version for version in VERSIONS if version != OWN)


@pytest.fixture
def bare(tmp_path, monkeypatch) -> Path:
    """An empty folder that is both PATH and home; uv is the real one, offline."""
    for name in (VARIABLE, SERVING_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    for name in ("PATH", "HOME", "UV_PYTHON_INSTALL_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setattr(interpreter, "UV", PROJECT / ".tools" / "bin" / "uv")
    monkeypatch.setattr(interpreter, "OS_RELEASE", tmp_path / "os-release")
    (tmp_path / "os-release").write_text("ID=fedora\n")
    return tmp_path


def program(path: Path, body: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_the_one_behind_the_tools_is_taken_if_it_will_do(bare):
    assert find(VARIABLE, [OTHER, OWN]) == sys._base_executable


def test_the_one_that_is_named_comes_first(bare, monkeypatch):
    named = program(bare / "bin" / "mine", f"echo {OTHER} /where/it/is")
    monkeypatch.setenv(VARIABLE, named)
    assert find(VARIABLE, [OWN, OTHER]) == "/where/it/is"


def test_a_named_one_of_another_version_starts_the_set_up_and_no_more(bare, monkeypatch):
    monkeypatch.setenv(VARIABLE, program(bare / "mine", "echo 3.14 /where/it/is"))
    assert find(VARIABLE, [OTHER, OWN]) == sys._base_executable


@pytest.mark.parametrize("place", ["python3.9", ".pyenv/versions/3.9.18/bin/python3.9"])
def test_one_on_path_or_of_pyenv_is_found(bare, place):
    program(bare / place, "echo 3.9 /where/it/is")
    assert find(SERVING_VARIABLE, SERVING_VERSIONS) == "/where/it/is"


def test_one_that_only_says_where_it_would_be_is_passed_over(bare):
    """As pyenv's do."""
    program(bare / "python3.9", "echo 'pyenv: python3.9: command not found' >&2; exit 127")
    program(bare / ".pyenv/versions/3.9.18/bin/python3.9", "echo 3.9 /where/it/is")
    assert find(SERVING_VARIABLE, SERVING_VERSIONS) == "/where/it/is"


def test_a_python_is_what_it_says_itself(bare):
    assert fitting(sys.executable, [OWN]) == sys._base_executable
    assert fitting(sys.executable, ["3.9"]) == ""
    assert fitting("no-such-program", [OWN]) == ""


def test_a_python_39_that_is_named_and_is_none_is_refused(bare, monkeypatch):
    monkeypatch.setenv(SERVING_VARIABLE, sys.executable)
    with pytest.raises(NoPython, match=r"PYTHON39 is .* which is no Python 3\.9 that runs"):
        find(SERVING_VARIABLE, SERVING_VERSIONS)


def test_where_none_is_and_none_can_be_fetched_it_is_said_what_brings_one(bare, capsys):
    with pytest.raises(NoPython) as fault:
        find(SERVING_VARIABLE, SERVING_VERSIONS)
    message = str(fault.value)
    assert "no Python 3.9 is on PATH, of pyenv or of uv" in message
    for way in ("dnf install python3.9", "PYTHON39=/path/to/python3.9", "UV_PYTHON_INSTALL_MIRROR"):
        assert way in message
    assert "uv fetches 3.9" in capsys.readouterr().err


def test_one_that_uv_fetches_is_taken(bare, monkeypatch):
    fetched = program(bare / "uv-python", "echo 3.9 /where/it/is")
    uv = program(
        bare / "uv",
        f'case "$2 $3" in "install 3.9") : > {bare}/fetched ;; '
        f'"find --managed-python") [ -e {bare}/fetched ] && echo {fetched} ;; *) exit 2 ;; esac',
    )
    monkeypatch.setattr(interpreter, "UV", Path(uv))
    assert find(SERVING_VARIABLE, SERVING_VERSIONS) == "/where/it/is"
