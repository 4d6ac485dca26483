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
from pipeline.local_servers import SUFFIX, StartedServer, identity
from serving.process import processes
from serving.process.guard import remove_shared_memory


@dataclass(frozen=True)
class ProcessRecord(StartedServer):
    """A server's note as those see it who write it, and who end the server by it."""

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
        with contextlib.suppress(FileNotFoundError, EnvironmentFault):
            if self.read(self.path(state_dir)) == self:
                self.path(state_dir).unlink()

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
