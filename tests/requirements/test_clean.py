"""make clean, in a copy of what it needs: nothing is removed from under a process."""

import shutil
import subprocess
import sys

import pytest

from tests.conftest import PROJECT


@pytest.fixture
def copy(tmp_path):
    """A folder with an environment of which `sleep` is a program."""
    for name in ("pipeline", "serving"):
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "Makefile", tmp_path)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(shutil.which("sleep"), tmp_path / ".venv" / "bin")
    (tmp_path / "build" / "e5").mkdir(parents=True)
    return tmp_path


def clean(folder):
    words = ["make", "clean", f"PYTHON={sys.executable}"]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


def test_what_a_process_runs_from_stays(copy):
    """As a server that was started with another --state_dir does, which leaves no record in build/run."""
    with subprocess.Popen([copy / ".venv" / "bin" / "sleep", "600"]) as process:
        try:
            done = clean(copy)
        finally:
            process.kill()
    assert done.returncode == 2
    assert f"error: processes run from the environments here: {process.pid} (ps -fp {process.pid})" in done.stderr
    assert (copy / ".venv").exists() and (copy / "build" / "e5").exists()
    done = clean(copy)
    assert done.returncode == 0, done.stderr
    assert not (copy / ".venv").exists() and not (copy / "build" / "e5").exists()
