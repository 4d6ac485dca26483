"""A Label Studio as `make label-studio` starts it, and what tests ask it."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterable
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ENVIRONMENT, PROJECT
from tests.serving.console.running import free_port

RECORDED = Path(__file__).parent / "recorded" / "label_studio"
"""What a Label Studio 1.20 exported and sent, texts and labels made up here; the slow test writes it anew where
RECORD_LABEL_STUDIO is set."""
TOKEN = "0123456789abcdef0123456789abcdef01234567"
STARTUP_SECONDS = 600  # it makes its database first
FORMATS = {"JSON": "export.json", "JSON_MIN": "export_min.json", "CSV": "export.csv"}


def result(*paths: list[str]) -> list[dict[str, Any]]:
    """What the editor saves where these paths are chosen."""
    return [{"from_name": "labels", "to_name": "text", "type": "taxonomy", "value": {"taxonomy": list(paths)}}]


def chance(scores: Iterable[float], selected: Iterable[bool]) -> float:
    """That a label set is right as a whole, by scores that are taken as independent."""
    return math.prod(max(float(score if on else 1 - score), 1e-7) for score, on in zip(scores, selected))


class LabelStudio:
    """A context manager around the running server, whose one user is admin@example.com.

    Args:
        folder: where its projects lie.
    """

    def __init__(self, folder: Path) -> None:
        if not (PROJECT / ".venv-label-studio" / ".ready").exists():
            pytest.skip("there is no .venv-label-studio; make label-studio makes it")
        self.port, self._log = free_port(), folder / "log.txt"
        own = {
            "LABEL_STUDIO_USERNAME": "admin@example.com",
            "LABEL_STUDIO_PASSWORD": "made-up-password",
            "LABEL_STUDIO_USER_TOKEN": TOKEN,
            "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        }
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                ["make", "label-studio", f"LABEL_STUDIO_PORT={self.port}", f"LABEL_STUDIO_DATA={folder / 'projects'}"],
                cwd=PROJECT,
                env={**ENVIRONMENT, **own},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> LabelStudio:
        end = time.monotonic() + STARTUP_SECONDS
        while self._process.poll() is None and time.monotonic() < end:
            try:
                if self.ask("GET", "/health")["status"] == "UP":
                    return self
            except OSError:
                time.sleep(1)
        if self._process.poll() is None:
            self.__exit__()
        raise AssertionError(f"Label Studio did not start: {self._log.read_text()[-2000:]}")

    def __exit__(self, *_: object) -> None:
        os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait(60)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """What it answers, JSON as its value, anything else as bytes; an error fails the test."""
        status, given = self.answer(method, path, body)
        assert status < 300, f"{method} {path}: {status} {given!r:.2000}"
        return given

    def answer(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=120)
        headers = {"Authorization": f"Token {TOKEN}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            given = answer.read()
        finally:
            connection.close()
        is_json = given.startswith((b"{", b"[")) and "/export" not in path
        return answer.status, json.loads(given) if is_json else given

    def project(self, configuration: str) -> int:
        """The number of a new project."""
        return self.ask("POST", "/api/projects", {"title": "made up", "label_config": configuration})["id"]

    def tasks(self, project: int, tasks: Any) -> list[dict[str, Any]]:
        """The project's tasks, after these were imported."""
        self.ask("POST", f"/api/projects/{project}/import", tasks)
        return self.ask("GET", f"/api/tasks?project={project}&fields=all&page_size=1000")["tasks"]

    def annotate(self, task: int, *paths: list[str], **fields: Any) -> int:
        """The number of a new annotation."""
        return self.ask(
            "POST", f"/api/tasks/{task}/annotations/", {"result": result(*paths) if paths else [], **fields}
        )["id"]

    def export(self, project: int, folder: Path) -> dict[str, Path]:
        """The files that it exports, by format."""
        for name, file in FORMATS.items():
            (folder / file).write_bytes(self.ask("GET", f"/api/projects/{project}/export?exportType={name}"))
        return {name: folder / file for name, file in FORMATS.items()}


class Recorder:
    """Stands between Label Studio and what it asks: passes requests on, and keeps them.

    Args:
        port: of what is asked.

    Attributes:
        requests: method, path, credentials, body, and what was answered, status and value.
    """

    def __init__(self, port: int) -> None:
        self.requests: list[dict[str, Any]] = []
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.do_POST()

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                connection = HTTPConnection("127.0.0.1", port, timeout=120)
                sent = {
                    name: value for name, value in self.headers.items() if name in ("Authorization", "Content-Type")
                }
                connection.request(self.command, self.path, raw or None, sent)
                answer = connection.getresponse()
                given = answer.read()
                connection.close()
                body = json.loads(raw) if raw else None
                recorder.requests.append(
                    {
                        "method": self.command,
                        "path": self.path,
                        "authorization": self.headers.get("Authorization"),
                        "body": body,
                        "status": answer.status,
                        "answer": json.loads(given),
                    }
                )
                self.send_response(answer.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(given)))
                self.end_headers()
                self.wfile.write(given)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]

    def __enter__(self) -> Recorder:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def of(self, path: str) -> list[dict[str, Any]]:
        """The requests with this path."""
        return [request for request in self.requests if request["path"] == path]
