"""Both servers as their users start them, each a command of its own, and the processes that they consist of."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.records import PROJECT
from pipeline.errors import ServerError
from pipeline.local_servers import StartedServer
from serving.folders import PADDLE, TRITON
from serving.paddle.server import PaddlePorts
from serving.process import processes
from serving.process.ports import Ports
from serving.triton.server.installation import STUB

READY_SECONDS, STOP_SECONDS, POLL_SECONDS = 180.0, 60.0, 0.2
SUPERVISOR, GUARD, SERVER, WORKER = "supervisor", "guard", "server", "worker"
READY = re.compile(r"is ready after ([0-9.]+) s")
MODULES = {"front.door": "HTTP front", "front.calls": "gRPC front"}


class RunningServer:
    """`python -m serving.triton` or `python -m serving.paddle`; stopped at the end of a `with` block.

    Args:
        name: TRITON or PADDLE.
        words: further options of the command.
        state_dir: for its notes and logs.
    """

    def __init__(self, name: str, words: Sequence[object], state_dir: Path) -> None:
        self.name, self._state_dir, self.log_path = name, state_dir, state_dir / f"{name}.supervisor.log"
        self._command = [sys.executable, "-m", f"serving.{name}", "--state_dir", str(state_dir), *map(str, words)]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> RunningServer:
        self._state_dir.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=PROJECT, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        deadline = time.monotonic() + READY_SECONDS
        while not READY.search(self.log()):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise ServerError(f"{self.name} did not become ready: {self.log()[-2000:]}")
            time.sleep(POLL_SECONDS)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            processes.kill_with_descendants(self._process.pid)
            self._process.wait()

    def ready_seconds(self) -> float:
        """What its start has taken here."""
        return float(READY.findall(self.log())[0])

    def log(self) -> str:
        """What the command has said."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def note(self) -> StartedServer | None:
        """What its launcher has noted of the server that runs now."""
        with contextlib.suppress(StopIteration):
            return next(iter(StartedServer.running(self._state_dir, self.name)))
        return None

    def processes(self) -> dict[int, str]:
        """What each of its processes is, by process id."""
        assert self._process is not None
        found = {self._process.pid: SUPERVISOR}
        for pid in processes.descendants(self._process.pid):
            if kind := self._kind(processes.command_line(pid)):
                found[pid] = WORKER if kind == SERVER and SERVER in found.values() else kind
        return found

    def _kind(self, words: list[str]) -> str:
        """Nothing for what lives for a moment."""
        line = " ".join(words)
        if words and Path(words[0]).name == STUB:
            return Path(words[1]).parent.parent.name
        if "process/guard.py" in line:
            return GUARD
        for module, kind in MODULES.items():
            if module in line:
                return kind
        is_server = words and (Path(words[0]).name == "tritonserver" or "serving.paddle.service" in line)
        return SERVER if is_server else ""

    def shared_bytes(self) -> int:
        """Of its regions in /dev/shm, those of ended servers among them that it has left."""
        note = self.note()
        patterns = [f"{note.shared_memory_prefix}*"] if note and note.shared_memory_prefix else []
        patterns += [f"text-classifier-*-{pid}-*" for pid, kind in self.processes().items() if kind == SERVER]
        return sum(_allocated(path) for pattern in patterns for path in Path("/dev/shm").glob(pattern))


def _allocated(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_blocks * 512
    return 0


class Place:
    """A folder in which both servers serve and are published to."""

    def __init__(self, folder: Path, engine: Sequence[object] = ()) -> None:
        self._state, self._engine = folder / "state", [*map(str, engine)]
        self._folders = ["--model_repository", str(folder / "repository"), "--paddle_folder", str(folder / "paddle")]
        ports, paddle_ports = Ports.free(), PaddlePorts.free()
        self.grpc, self.json, self.paddle = (
            f"127.0.0.1:{port}" for port in (ports.grpc, ports.http, paddle_ports.http)
        )
        triton: list[object] = ["--model_repository", folder / "repository"]
        for way, port in (("grpc", ports.grpc), ("http", ports.http), ("metrics", ports.metrics)):
            triton += [f"--{way}_port", port]
        paddle = ["--folder", folder / "paddle", "--rpc_port", paddle_ports.rpc, "--http_port", paddle_ports.http]
        self.servers = [
            RunningServer(TRITON, triton, self._state),
            RunningServer(PADDLE, paddle, self._state),
        ]

    def publish(self, bundle: Path) -> None:
        """Make a bundle live in both, as a new version."""
        self._command("publish", "--bundle", bundle, "--again", "--keep", 1000, *self._engine)

    def roll_back(self, version: int) -> None:
        """Make a version live again in both."""
        self._command("rollback", "--version", version)

    def _command(self, name: str, *words: Any) -> None:
        """Raise ServerError where it fails."""
        command = [sys.executable, "-m", f"serving.{name}", *self._folders, "--state_dir", str(self._state)]
        done = subprocess.run([*command, *map(str, words)], cwd=PROJECT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ServerError(f"serving.{name} failed: {done.stderr.strip()[-1000:]}")
