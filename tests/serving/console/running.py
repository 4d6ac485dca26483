"""A console as its command starts it, in its own environment, and what tests ask it."""

from __future__ import annotations

import ctypes
import json
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from http.client import HTTPConnection
from typing import Any

import pytest

from serving.process.guard import PR_SET_PDEATHSIG
from tests.conftest import ENVIRONMENT, PROJECT

PYTHON = PROJECT / ".venv-console" / "bin" / "python"
PATIENCE = 60  # seconds


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def classify(page: Any, texts: Sequence[str]) -> None:
    """Have the page that is open answer texts."""
    page.type("#input", "\n".join(texts))
    page.click("#classify")
    page.wait_for("!document.getElementById('classify').disabled")


def _end_with_parent() -> None:
    """Tests that are killed tear nothing down: the kernel then ends what they started."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Console:
    """A context manager around the running command.

    Attributes:
        port: where it listens.
        said: its first line.
    """

    START: Sequence[str] = ("-m", "serving.console")

    def __init__(self, *words: object) -> None:
        if not PYTHON.exists():
            pytest.skip("there is no .venv-console; make setup-console prepares it")
        self.port = free_port()
        self.state_dir = tempfile.mkdtemp()
        command = [PYTHON, *self.START, "--port", self.port, "--state_dir", self.state_dir, *words]
        self.process = subprocess.Popen(
            list(map(str, command)),
            cwd=PROJECT,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - no thread of the tests holds a lock then
        )
        self.said = self.process.stdout.readline()
        while self.said.startswith("note:"):
            self.said = self.process.stdout.readline()

    def __enter__(self) -> Console:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.said.startswith("error:"):
            self.process.send_signal(signal.SIGTERM)
        self.output = self.process.communicate(timeout=PATIENCE)[0]
        self.status = self.process.returncode
        shutil.rmtree(self.state_dir)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def ask(self, path: str, body: Any = None, **headers: str) -> tuple[int, Any, dict[str, str]]:
        """Status, what was answered (of JSON its value, bytes of what is no text), and the headers.

        A `body` as bytes is sent as it is.
        """
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        sent = {"Content-Type": "application/json"} if body is not None else {}
        sent.update({name.replace("_", "-"): value for name, value in headers.items()})
        raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        try:
            connection.request("GET" if body is None else "POST", path, raw, sent)
            answer = connection.getresponse()
            given = answer.read()
        finally:
            connection.close()
        kind = answer.headers.get("content-type", "")
        read = json.loads(given) if "json" in kind else given.decode() if kind.startswith("text/") else given
        return answer.status, read, dict(answer.headers)
