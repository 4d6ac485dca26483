"""A real Paddle Serving service; where there is no .venv-serving, what needs it is skipped."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import EnvironmentFault
from pipeline.files.bundle import Bundle
from serving.paddle.deployment import PaddleDeployment
from serving.paddle.environment import serving_python
from serving.paddle.options import PaddleOptions
from serving.paddle.server import PaddlePorts, PaddleServer
from tests.conftest import ENVIRONMENT, PROJECT


@pytest.fixture(scope="session")
def python39() -> str:
    """The interpreter of .venv-serving."""
    try:
        return str(serving_python())
    except EnvironmentFault as fault:
        pytest.skip(f"Paddle Serving: {fault}")


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


@pytest.fixture(scope="session")
def published(bundle_path, tmp_path_factory) -> Path:
    """The bundle, published for Paddle Serving with low limits."""
    folder = tmp_path_factory.mktemp("paddle") / "published"
    limits = PaddleOptions(request_bytes=1 << 20, request_seconds=2, workers=12)
    PaddleDeployment(folder).publish(Bundle(bundle_path), limits)
    return folder


@pytest.fixture(scope="session")
def service(python39, published, tmp_path_factory) -> Iterator[PaddleServer]:
    """The service, ready."""
    with PaddleServer(published, PaddlePorts.free(), state_dir=tmp_path_factory.mktemp("state")) as server:
        server.wait_ready()
        yield server
