"""The Paddle Serving service as a Python object, and what keeps it answering.

with PaddleServer("build/paddle_serving", PaddlePorts.free()) as server:
    server.wait_ready()
    ask(server.rpc_address, server.http_address)
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clients.http_client import HttpClient
from clients.paddle_client import TooLate, Unavailable
from pipeline.errors import ClassifierError, InputError, ServerError
from pipeline.files.bundle import Bundle
from pipeline.service_messages import HTTP_PORT, RPC_PORT
from serving.folders import PADDLE, default_state_dir, paddle_folder
from serving.golden import Expected
from serving.paddle.configuration import MODEL_FOLDER
from serving.paddle.environment import serving_python
from serving.paddle.heartbeat import VARIABLE, last_beat
from serving.paddle.publication import PaddleVersion, live_publication, read_publication
from serving.process.guarded_server import GuardedServer
from serving.process.ports import LOOPBACK, free_ports, require_free, resolve_host
from serving.process.restarts import Restarts

PORT: dict[str, Any] = {"at_least": 1024, "at_most": 65535}
"""Bounds of an option; upstream refuses other ports."""
PATIENCE_SECONDS = 10.0
POLL_SECONDS = 0.2
GOLDEN_SECONDS = 5.0
FAILURES_IN_A_ROW = 2
SILENT_SECONDS = 60.0
SHOWN_LOG_LINES = 5


@dataclass(frozen=True)
class PaddlePorts:
    """RPC and HTTP port, different ones."""

    rpc: int = RPC_PORT
    http: int = HTTP_PORT

    def __post_init__(self) -> None:
        for name, port in asdict(self).items():
            if not PORT["at_least"] <= port <= PORT["at_most"]:
                raise InputError(f"{name} port {port}: Paddle Serving takes a number from 1024 to 65535")
        if self.rpc == self.http:
            raise InputError(f"rpc port and http port are both {self.rpc}: give each its own")

    @classmethod
    def free(cls) -> PaddlePorts:
        """Two ports that nobody listened on a moment ago."""
        return cls(*free_ports(2))


class PaddleServer(GuardedServer):
    """The service in .venv-serving, for as long as the `with` block lasts.

    Args:
        folder: what `serving.publish` wrote, or one publication of it.
        ports, host: where to listen; loopback by default.
        state_dir: for its log, the record of its process, and upstream's own files.
    """

    def __init__(
        self,
        folder: Path | str | None = None,
        ports: PaddlePorts | None = None,
        host: str = LOOPBACK,
        state_dir: Path | str | None = None,
    ) -> None:
        self.folder = Path(folder or paddle_folder()).resolve()
        self.ports, self.host = ports or PaddlePorts(), resolve_host(host)
        state_dir, name = Path(state_dir or default_state_dir()).resolve(), f"{PADDLE}-{self.ports.rpc}"
        super().__init__(name, state_dir, state_dir / f"{name}.log", PATIENCE_SECONDS)
        self.version: PaddleVersion | None = None
        self._heartbeat = state_dir / name / "answered"
        self._started = 0.0

    @property
    def rpc_address(self) -> str:
        """`host:port` for clients on this machine."""
        return f"{self._client_host}:{self.ports.rpc}"

    @property
    def http_address(self) -> str:
        """`host:port` for clients on this machine."""
        return f"{self._client_host}:{self.ports.http}"

    @property
    def _client_host(self) -> str:
        return LOOPBACK if self.host == "0.0.0.0" else self.host

    def start(self) -> None:
        """Start the service; it becomes ready some seconds after this returns.

        Raises:
            InputError: nothing was published to the folder.
            EnvironmentFault: .venv-serving is not there, or a port is taken.
        """
        self.require_stopped()
        folder = live_publication(self.folder)
        self.version = read_publication(folder)
        python = serving_python()
        for name, port in asdict(self.ports).items():
            require_free(name, self.host, port)
        work = self._heartbeat.parent
        work.mkdir(parents=True, exist_ok=True)
        command = [str(python), "-B", "-W", "ignore", "-m", "serving.paddle.service", "--folder", str(folder)]
        command += ["--host", self.host, "--rpc_port", str(self.ports.rpc), "--http_port", str(self.ports.http)]
        self._heartbeat.unlink(missing_ok=True)
        environment = {**os.environ, "PYTHONPATH": str(folder), "SERVING_LOG_PATH": str(work)}
        environment[VARIABLE] = str(self._heartbeat)
        self._started = time.monotonic()
        serves = {"http_address": self.http_address, "paddle_folder": str(self.folder)}
        self.launch(command, environment, work, **serves, version=str(self.version.number))

    def check(self, expected: Expected) -> None:
        """Raise ServerError unless a golden text gets its labels.

        Unavailable and TooLate, of its kind, say that it got no answer, as happens when there is too much to do.
        """
        with HttpClient(self.http_address, GOLDEN_SECONDS, retries=0) as client:
            labels = [prediction.label for prediction in client.classify([expected.text])[0]]
        expected.require(labels, self.http_address)

    def last_beat(self) -> int:
        """When the model has answered last, whomever; it changes with each answer, and is 0 before the first."""
        return last_beat(self._heartbeat)

    def wait_ready(self, timeout_seconds: float = 60.0) -> float:
        """Wait until a golden text is answered, or others leave it no room; the seconds since the start.

        Raises:
            ServerError: that does not happen in time, or the service ends.
        """
        assert self.version is not None
        deadline = time.monotonic() + timeout_seconds
        while True:
            status = self.status()
            if status is not None:
                raise self.failure(f"the service did not come up (exit status {status})")
            try:
                self.check(self.version.expected[0])
                return time.monotonic() - self._started
            except ServerError as error:
                if isinstance(error, (Unavailable, TooLate)) and self.last_beat():
                    return time.monotonic() - self._started
                if time.monotonic() > deadline:
                    self.stop()
                    raise self.failure(f"the service was not ready after {timeout_seconds:g} s: {error}") from None
            time.sleep(POLL_SECONDS)

    def failure(self, what: str) -> ServerError:
        lines = self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()
        said = [line for line in lines if line.startswith("error:")] or lines
        return ServerError("\n  ".join([what, *said[-SHOWN_LOG_LINES:], f"its log: {self.log_path}"]))


class PaddleSupervisor:
    """Keeps the service answering: starts it again when it ends, answers wrongly or not at all, or is to be renewed.

    Args:
        server: a server that is ready.
        report: takes what happened and what was done about it, a line each.
        check_seconds: how often a golden text is asked.
        ready_seconds: how long a start may take.
        max_restarts: starts in a row that do not lead to an answer before it gives up.
        silent_seconds: that nobody gets an answer before it counts as standing still; while others get theirs, a
            golden text that is refused or late only says that there is much to do.
    """

    def __init__(
        self,
        server: PaddleServer,
        report: Callable[[str], None],
        check_seconds: float = 5.0,
        ready_seconds: float = 60.0,
        max_restarts: int = 3,
        silent_seconds: float = SILENT_SECONDS,
    ) -> None:
        self.server, self._report = server, report
        self._check_seconds, self._silent_seconds = check_seconds, silent_seconds
        self._restarts = Restarts(server, "service", report, ready_seconds, max_restarts)
        self._failures = 0
        self._beat, self._answered = server.last_beat(), time.monotonic()
        self._refused: PaddleVersion | None = None
        self._said = ""
        self._turns = itertools.count()

    def run(self) -> None:
        """Watch until the service is told to stop; raises ServerError where it cannot be repaired."""
        next_check = time.monotonic() + self._check_seconds
        while (status := self.server.status()) != 0:
            if status is not None:
                self._restart(f"the service (process {self.server.pid}) ended with exit status {status}")
            elif time.monotonic() >= next_check:
                self._check()
                next_check = time.monotonic() + self._check_seconds
            time.sleep(POLL_SECONDS)

    def _check(self) -> None:
        served = self.server.version
        assert served is not None
        if self._published_since(served):
            self._restarts.count = 0
            self._restart("a bundle was published")
            return
        try:
            self.server.check(served.expected[next(self._turns) % len(served.expected)])
        except (Unavailable, TooLate) as error:
            if self.server.last_beat() != self._beat:
                self._note_answer()
            elif time.monotonic() - self._answered > self._silent_seconds:
                self._restart(f"nobody got an answer for {self._silent_seconds:g} s ({error})")
        except ServerError as error:
            self._failures += 1
            if self._failures >= FAILURES_IN_A_ROW:
                self._restart(str(error))
        else:
            self._failures = 0
            self._note_answer()

    def _note_answer(self) -> None:
        self._beat, self._answered, self._restarts.count = self.server.last_beat(), time.monotonic(), 0

    def _published_since(self, served: PaddleVersion) -> bool:
        try:
            folder = live_publication(self.server.folder)
            latest = read_publication(folder)
            if latest in (served, self._refused):
                return False
            self._refused = latest
            Bundle(folder / MODEL_FOLDER)  # while what is loaded goes on
        except ClassifierError as error:
            if str(error) != self._said:
                self._report(f"what was published cannot be served, the service stays with what it has: {error}")
            self._said = str(error)
            return False
        self._refused, self._said = None, ""
        return True

    def _restart(self, why: str) -> None:
        self._restarts.again(why)
        self._failures, self._beat, self._answered = 0, self.server.last_beat(), time.monotonic()
