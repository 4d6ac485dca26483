"""Commands of Paddle Serving's own environment."""

from __future__ import annotations

import subprocess

import pytest

from tests.conftest import ENVIRONMENT, PROJECT


@pytest.fixture(scope="session")
def in_serving(python39, tmp_path_factory):
    """Runs a command in .venv-serving, as a user would."""
    environment = {**ENVIRONMENT, "SERVING_LOG_PATH": str(tmp_path_factory.mktemp("logs"))}  # or they go to PROJECT

    def run(*arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        words = [python39, "-W", "ignore", *map(str, arguments)]
        done = subprocess.run(words, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, f"{arguments} failed:\n{done.stdout}\n{done.stderr}"
        return done

    return run
