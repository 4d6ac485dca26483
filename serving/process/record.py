"""Notes, one file each, of the servers that were started, so that another command can stop them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.errors import EnvironmentFault, ServerError
from pipeline.local_servers import SUFFIX, identity
from pipeline.records import from_fields, read_json
from serving.process import processes
from serving.process.guard import remove_shared_memory


@dataclass(frozen=True)
class ProcessRecord:
    """A process that ends its server, children included, on SIGTERM within `patience_seconds`.

    `identity` is what the function `identity` said at the start: a recycled process id does not match it.
    `http_address` says where the server can be asked, `client_address` where over gRPC or RPC, `model_repository` or
    `paddle_folder` from where it serves, and `version`, of a Paddle Serving service, what.
    """

    name: str
    pid: int
    identity: str
    patience_seconds: float
    shared_memory_prefix: str = ""
    http_address: str = ""
    client_address: str = ""
    model_repository: str = ""
    paddle_folder: str = ""
    version: str = "0"

    @classmethod
    def of(
        cls, name: str, pid: int, patience_seconds: float, shared_memory_prefix: str = "", **serves: str
    ) -> ProcessRecord:
        """Record of running process `pid`."""
        return cls(name, pid, identity(pid) or "", patience_seconds, shared_memory_prefix, **serves)

    def path(self, state_dir: Path) -> Path:
        return state_dir / f"{self.name}{SUFFIX}"

    def write(self, state_dir: Path) -> None:
        """Replace the record of the same name, at once and as a whole."""
        state_dir.mkdir(parents=True, exist_ok=True)
        path = self.path(state_dir)
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        draft.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        draft.replace(path)

    def remove(self, state_dir: Path) -> None:
        """Remove this record, unless another process has written its own in its place."""
        with contextlib.suppress(FileNotFoundError):
            if read(self.path(state_dir)) == self:
                self.path(state_dir).unlink()

    def is_running(self) -> bool:
        return bool(self.identity) and identity(self.pid) == self.identity

    def stop(self) -> bool:
        """End the process: SIGTERM, and SIGKILL when patience is over; False where it had ended before."""
        was_running = self.is_running()
        if was_running and not self._signal_and_wait(signal.SIGTERM, self.patience_seconds):
            processes.kill_with_descendants(self.pid)
            self._signal_and_wait(signal.SIGKILL, 5.0)
        if self.is_running():
            raise ServerError(f"{self.name}: process {self.pid} does not end, not even on SIGKILL")
        if self.shared_memory_prefix:
            remove_shared_memory(self.shared_memory_prefix)
        return was_running

    def _signal_and_wait(self, number: int, patience_seconds: float) -> bool:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)
            os.kill(self.pid, signal.SIGCONT)  # one that was halted would not notice
        deadline = time.monotonic() + patience_seconds
        while self.is_running() and time.monotonic() < deadline:
            time.sleep(0.05)
        return not self.is_running()


def read(path: Path) -> ProcessRecord | None:
    """The record in `path`; None where it is not one (cut short, another version's)."""
    try:
        return from_fields(ProcessRecord, read_json(path))
    except ValueError:
        return None


def require(path: Path) -> ProcessRecord | None:
    """The record in `path`; None where it is gone. Raises EnvironmentFault where it is damaged."""
    try:
        record = read(path)
    except FileNotFoundError:
        return None
    if record is None:
        raise EnvironmentFault(
            f"{path} is damaged: whether its server runs cannot be told; end it where it does, and remove the file"
        )
    return record


def running(state_dir: Path) -> list[ProcessRecord]:
    """The records of the servers that run; raises EnvironmentFault where one is damaged."""
    records = map(require, sorted(state_dir.glob(f"*{SUFFIX}")))
    return [record for record in records if record and record.is_running()]
