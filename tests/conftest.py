"""What many tests share: the project's commands, and one small model that went all the way to a bundle."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

import pytest
from hypothesis import HealthCheck, settings

from pipeline.command import run
from pipeline.errors import EnvironmentFault
from pipeline.files.bundle import Bundle
from serving.paddle.deployment import PaddleDeployment
from serving.paddle.environment import serving_python
from serving.paddle.options import PaddleOptions
from serving.paddle.server import PaddlePorts, PaddleServer
from serving.process.ports import Ports
from serving.triton.server.launcher import TritonServer
from tests.browser import Browser, find_browser
from tests.processes import made_once, set_groups
from tests.serving.passing import PassingServer

# Time on a shared machine is no property of the code; CI tries the same examples each time.
settings.register_profile(
    "project", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ
)
settings.load_profile("project")

PROJECT = Path(__file__).resolve().parent.parent
ENVIRONMENT = dict(os.environ)
"""Of a command that a user starts; paddle, once imported here, sets variables that would limit its threads."""
REAL_DATA = PROJECT.parent / "shared" / "data"


@pytest.hookimpl(tryfirst=True)  # xdist looks at the marks in its own
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    set_groups(items, sort=hasattr(config, "workerinput"))


def run_command(*arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run one of the project's commands as a user would."""
    words = [sys.executable, *map(str, arguments)]
    done = subprocess.run(words, cwd=PROJECT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if check:
        assert done.returncode == 0, f"{arguments} failed:\n{done.stdout}\n{done.stderr}"
    return done


def run_in_process(main: Callable[[list[str]], None], *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command's `main` here, as `run_command` would, without the seconds that importing paddle takes."""
    words = [str(argument) for argument in arguments]
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors), pytest.raises(SystemExit) as left:
        run(lambda _: main(words))
    return subprocess.CompletedProcess(words, left.value.code, output.getvalue(), errors.getvalue())


def first_rows(dataset: Path, folder: Path, train: int, dev: int, data: int = 100) -> Path:
    """A dataset folder with as many of the rows of another, for what needs no more."""
    folder.mkdir(parents=True)
    for name, rows in (("train.txt", train), ("dev.txt", dev), ("data.txt", data), ("label.txt", None)):
        lines = (dataset / name).read_text(encoding="utf-8").splitlines(keepends=True)
        (folder / name).write_text("".join(lines[:rows]), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def sample_dataset(tmp_path_factory) -> Path:
    """A small generated dataset folder."""
    folder = tmp_path_factory.mktemp("sample") / "data"
    rows = ("--train_rows", 1500, "--dev_rows", 200, "--test_rows", 200)
    run_command("training/make_sample_dataset.py", "--output_dir", folder, *rows)
    return folder


@pytest.fixture(scope="session")
def checkpoint(sample_dataset, tmp_path_factory) -> Path:
    """A checkpoint trained for a moment: it has learnt something, and that is all."""
    options = ("--device", "cpu", "--model_name", "scratch-tiny", "--learning_rate", 2e-3, "--epochs", 6)
    options += ("--linear", "never")  # an encoder alone: what most tests are about

    def train(folder: Path) -> None:
        places = ("--dataset_dir", sample_dataset, "--save_dir", folder / "checkpoint")
        run_command("training/train.py", *places, *options)

    return made_once(tmp_path_factory, "trained", train) / "checkpoint"


@pytest.fixture(scope="session")
def bundle_path(checkpoint, tmp_path_factory) -> Path:
    """The checkpoint's bundle, which was published beside it in the same go."""

    def export(folder: Path) -> None:
        places = ("--output_path", folder / "export", "--model_repository", folder / "model_repository")
        run_command("training/export_model.py", "--params_path", checkpoint, "--at_least_one", *places)

    return made_once(tmp_path_factory, "exported", export) / "export"


@pytest.fixture(scope="session")
def model_repository(bundle_path) -> Path:
    """The bundle, published to a folder outside the project."""
    return bundle_path.with_name("model_repository")


@pytest.fixture(scope="session")
def triton(model_repository, tmp_path_factory) -> Iterator[TritonServer]:
    """A real Triton server over `model_repository`."""
    state = tmp_path_factory.mktemp("state")
    with PassingServer(model_repository, ports=Ports.free(), state_dir=state) as server:
        server.wait_ready()
        yield server


@pytest.fixture(scope="session")
def browser(tmp_path_factory) -> Iterator[Browser]:
    """A real browser, for pages."""
    program = find_browser()
    if not program:
        pytest.skip("there is no Chromium to open pages in; Debian's package is named chromium")
    with Browser(program, tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture(scope="session")
def python39() -> str:
    """The interpreter of .venv-serving; where there is none, what needs Paddle Serving is skipped."""
    try:
        return str(serving_python())
    except EnvironmentFault as fault:
        pytest.skip(f"Paddle Serving: {fault}")


@pytest.fixture(scope="session")
def published(bundle_path, tmp_path_factory) -> Path:
    """The bundle, published for Paddle Serving with low limits."""
    folder = tmp_path_factory.mktemp("paddle") / "published"
    limits = PaddleOptions(request_bytes=1 << 20, request_seconds=2, workers=12)
    PaddleDeployment(folder).publish(Bundle(bundle_path), limits)
    return folder


@pytest.fixture(scope="session")
def service(python39, published, tmp_path_factory) -> Iterator[PaddleServer]:
    """A real Paddle Serving service, ready."""
    with PaddleServer(published, PaddlePorts.free(), state_dir=tmp_path_factory.mktemp("state")) as server:
        server.wait_ready()
        yield server
