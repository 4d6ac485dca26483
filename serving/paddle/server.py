"""The Paddle Serving service as a Python object.

with PaddleServer("build/paddle_serving", PaddlePorts.free()) as server:
    server.wait_ready()
    ask(server.rpc_address, server.http_address)
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clients.http_client import HttpClient
from clients.paddle_client import TooLate, Unavailable
from pipeline.errors import InputError, ServerError
from pipeline.local_servers import default_state_dir
from pipeline.service_messages import HTTP_PORT, RPC_PORT
from serving.folders import PADDLE, paddle_folder
from serving.golden import Expected
from serving.paddle.environment import serving_python
from serving.paddle.heartbeat import VARIABLE, Worker
from serving.paddle.publication import PaddleVersion, live_publication, read_publication
from serving.process.guarded_server import GuardedServer
from serving.process.ports import LOOPBACK, free_ports, require_free, resolve_host

PORT: dict[str, Any] = {"at_least": 1024, "at_most": 65535}
"""Bounds of an option; upstream refuses other ports."""
MAKE_VARIABLES = {"rpc": "RPC_PORT", "http": "PADDLE_HTTP_PORT"}
"""Of the Makefile, which name the ports."""
PATIENCE_SECONDS = 10.0
POLL_SECONDS = 0.2
GOLDEN_SECONDS = 5.0
"""That a process of the service may take when the supervisor asks: a short request on this machine."""
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
            require_free(name, self.host, port, MAKE_VARIABLES[name])
        work = self._heartbeat.parent
        work.mkdir(parents=True, exist_ok=True)
        command = [str(python), "-B", "-W", "ignore", "-m", "serving.paddle.service", "--folder", str(folder)]
        command += ["--host", self.host, "--rpc_port", str(self.ports.rpc), "--http_port", str(self.ports.http)]
        for old in work.glob(f"{self._heartbeat.name}*"):
            old.unlink()
        environment = {**os.environ, "PYTHONPATH": str(folder), "SERVING_LOG_PATH": str(work)}
        environment[VARIABLE] = str(self._heartbeat)
        self._started = time.monotonic()
        serves = {"http_address": self.http_address, "client_address": self.rpc_address}
        serves["paddle_folder"] = str(self.folder)
        self.launch(command, environment, work, **serves, version=str(self.version.number))

    def workers(self) -> list[Worker]:
        """The processes of the service that has been started."""
        assert self.version is not None
        return [Worker(self._heartbeat, number) for number in range(max(1, self.version.options.processes))]

    def check(self, expected: Expected, worker: Worker) -> None:
        """Raise ServerError unless a process gives a golden text its labels.

        Unavailable and TooLate, of its kind, say that it got no answer, as happens when there is too much to do.
        """
        door = worker.door()
        address = f"{LOOPBACK}:{door[1]}" if door else self.http_address
        with HttpClient(address, GOLDEN_SECONDS, retries=0) as client:
            labels = [prediction.label for prediction in client.classify([expected.text])[0]]
        expected.require(labels, address)

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
                for worker in self.workers():
                    self.check(self.version.expected[0], worker)
                return time.monotonic() - self._started
            except ServerError as error:
                if isinstance(error, (Unavailable, TooLate)) and all(each.last_beat() for each in self.workers()):
                    return time.monotonic() - self._started
                if time.monotonic() > deadline:
                    self.stop()
                    raise self.failure(f"the service was not ready after {timeout_seconds:g} s: {error}") from None
            time.sleep(POLL_SECONDS)

    def failure(self, what: str) -> ServerError:
        lines = self.log().splitlines()
        said = [line for line in lines if line.startswith("error:")] or lines
        return ServerError("\n  ".join([what, *said[-SHOWN_LOG_LINES:], f"its log: {self.log_path}"]))
