"""Every command and every snippet of README and the pages runs, shrunk, in the order in which it stands."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
from unittest import mock

import pytest

from pipeline.errors import EnvironmentFault
from serving.paddle.environment import serving_python
from serving.paddle.server import PaddleServer
from tests.conftest import PROJECT
from tests.docs.commands import EPOCHS, NOT_RUN, Shell, lines
from tests.docs.pages import ENGLISH, Block, blocks
from tests.docs.workspace import Annotator, Graphs, furnish

PAGES = [PROJECT / "README.md", *sorted(ENGLISH.rglob("*.md"))]
RUN = [page for page in PAGES if any(block.language in ("shell", "python") for block in blocks(page))]
NUMBER = re.compile(r"\d+\.\d+")


@pytest.fixture(scope="module")
def paddle(request) -> PaddleServer | None:
    """Paddle Serving with the bundle; None where it cannot run."""
    try:
        serving_python()
    except EnvironmentFault:
        return None
    return request.getfixturevalue("service")


@pytest.fixture(scope="module")
def template(sample_dataset, checkpoint, bundle_path, tmp_path_factory):
    place, annotator = tmp_path_factory.mktemp("template"), Annotator(sample_dataset)
    furnish(place, sample_dataset, checkpoint, bundle_path, annotator)
    return place, annotator


@pytest.fixture(scope="module", autouse=True)
def graphs(tmp_path_factory):
    """Pages export the same checkpoint again and again; its graphs are written once."""
    with mock.patch("training.checkpoint.export.export_static", Graphs(tmp_path_factory.mktemp("graphs"))):
        yield


@pytest.fixture(scope="module")
def done() -> set[str]:
    """What was run on an earlier page is not run again."""
    return set()


@pytest.fixture
def shell(template, triton, paddle, model_repository, done, tmp_path, monkeypatch) -> Shell:
    place, annotator = tmp_path / "place", template[1]
    shutil.copytree(template[0], place)
    for published in ("model_repository", "model_repository.paddle"):
        shutil.copytree(model_repository.with_name(published), place / published, symlinks=True)
    monkeypatch.chdir(place)
    served = {"127.0.0.1:8001": triton.grpc_address, "127.0.0.1:8000": triton.http_address}
    served |= {"127.0.0.1:8002": triton.metrics_address}
    served |= {"10.0.0.1:8001": triton.grpc_address, "10.0.0.2:8001": triton.grpc_address}
    if paddle:
        served |= {"127.0.0.1:9999": paddle.http_address, "127.0.0.1:18090": paddle.rpc_address}

    def addresses(text: str) -> str:
        for address, real in served.items():
            text = text.replace(address, real)
        return text

    here = ("--model_repository", str(place / "model_repository"), "--state_dir", str(place / "run"))
    extra = {name: here for name in ("serving.publish", "serving.versions", "serving.rollback")}
    extra |= {"serving.health": ("--model_repository", str(model_repository), "--server", triton.http_address)}
    extra |= {"clients.triton": ("--url", triton.grpc_address)}
    if paddle:
        extra |= {"clients.http_client": ("--url", paddle.http_address)}
        extra |= {"clients.rpc_client": ("--url", paddle.rpc_address)}
    return Shell(addresses, annotator, extra, done)


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.relative_to(PROJECT).as_posix())
def test_commands_and_snippets_run(page, shell, paddle):
    found = list(blocks(page))
    for number, block in enumerate(found):
        if paddle is None and needs_paddle(block):
            continue
        if block.language == "shell":
            for line in lines(block.text):
                run_line(shell, block, line)
        elif block.language == "python":
            printed = found[number + 1].text if found[number + 1 :] and found[number + 1].language == "text" else ""
            check_output(block, masked(run_snippet(shell.addresses(block.text))), masked(printed))


def run_line(shell: Shell, block: Block, line: str) -> None:
    try:
        shell.run(line)
    except (Exception, SystemExit) as error:
        raise AssertionError(f"{block}: {line}\n{type(error).__name__}: {error}") from error


def run_snippet(code: str) -> str:
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(EPOCHS.sub(r"\g<1>1", code), "snippet", "exec"), {"__name__": "__main__"})
    return output.getvalue()


def check_output(block: Block, got: str, wanted: str) -> None:
    """Both are equal, or end alike where what is wanted begins with `...`."""
    if wanted.startswith("...\n"):
        wanted = wanted.removeprefix("...\n")
        got = got[-len(wanted) :]
    assert got == wanted, f"{block} prints otherwise"


def masked(text: str) -> str:
    """Without the digits of decimal numbers, which depend on the training."""
    return NUMBER.sub("#", text)


def needs_paddle(block: Block) -> bool:
    return any(sign in block.text for sign in ("http_client", "rpc_client", ":9999", ".venv-serving"))


def test_every_reason_for_not_running_a_command_is_needed():
    commands = [line for page in PAGES for block in blocks(page) for line in lines(block.text)]
    idle = [pattern for pattern in NOT_RUN if not any(re.match(pattern, line) for line in commands)]
    assert not idle
