"""A server process that lives as long as a `with` block, and never longer than the process that started it.

How it is ended along with all that belongs to it is told in guard.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from pipeline.errors import ServerError
from serving.process import guard
from serving.process.record import ProcessRecord

KILL_MARGIN_SECONDS = 5.0

Server = TypeVar("Server", bound="GuardedServer")


class GuardedServer:
    """What starting and ending is like for every server; a subclass says what to start.

    Args:
        name: of its record, by which `python -m serving.stop` finds it, and of its log.
        state_dir: folder of record and log.
        log_path: takes its output; the log of the start before is kept with `.1` added.
        patience_seconds: how long it may take to end before it is killed.

    Attributes:
        pid: the server's process id, 0 before the first start.
        shared_memory_prefix: of the regions in /dev/shm that go with the server.
    """

    def __init__(self, name: str, state_dir: Path, log_path: Path, patience_seconds: float) -> None:
        self.name, self.state_dir, self.log_path = name, state_dir, log_path
        self.patience_seconds = patience_seconds
        self.shared_memory_prefix = f"{guard.SHARED_MEMORY_PREFIX}{uuid.uuid4().hex[:12]}_"
        self.pid = 0
        self._guard: subprocess.Popen[bytes] | None = None
        self._record: ProcessRecord | None = None

    def start(self) -> None:
        """Start the server; it becomes ready after this returns."""
        raise NotImplementedError

    def __enter__(self: Server) -> Server:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def require_stopped(self) -> None:
        """Raise ServerError where it was started already."""
        if self._guard:
            raise ServerError(f"this server was started already, as process {self.pid}")

    def launch(self, command: Sequence[str], environment: Mapping[str, str], folder: Path | str, **serves: str) -> None:
        """Run `command` in `folder` under a guard, and record it; `serves` goes into the record."""
        self.require_stopped()
        _rotate(self.log_path)
        guarded = [sys.executable, "-I", "-S", guard.__file__, str(os.getpid()), str(self.patience_seconds)]
        with self.log_path.open("ab") as log:
            self._guard = subprocess.Popen(
                [*guarded, self.shared_memory_prefix, *command],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=folder,
                start_new_session=True,
            )
        patience = self.patience_seconds + KILL_MARGIN_SECONDS
        self._record = ProcessRecord.of(self.name, self._guard.pid, patience, self.shared_memory_prefix, **serves)
        self._record.write(self.state_dir)
        assert self._guard.stdout
        with self._guard.stdout as output:
            self.pid = int(output.readline() or 0)

    def terminate(self) -> None:
        """Tell the server to finish what it has accepted and to end; does not wait for it."""
        if self._guard:
            self._guard.terminate()

    def stop(self) -> None:
        """Let accepted requests finish, then end the server and all that belongs to it; doing it twice is fine.

        An interrupt while waiting (a second Ctrl-C) ends it at once.
        """
        if not self._guard:
            return
        try:
            if self._guard.poll() is None:
                self._guard.terminate()
            self._guard.wait()
        except BaseException:
            self._guard.terminate()
            self._guard.wait()
            raise
        finally:
            guard.remove_shared_memory(self.shared_memory_prefix)
            if self._record:
                self._record.remove(self.state_dir)
            if self._guard.poll() is not None:
                self._guard = None

    @property
    def was_told_to_stop(self) -> bool:
        """Whether it has ended because it was told to."""
        return self._guard is not None and self._guard.poll() == 0

    def status(self) -> int | None:
        """The server's exit status, 0 where it was told to stop; None while it runs."""
        if not self._guard:
            raise ServerError("this server was not started")
        return self._guard.poll()


def _rotate(log_path: Path) -> None:
    log_path.parent.mkdir(parents=True, exist_ok=True)
    if log_path.exists():
        log_path.replace(log_path.with_name(f"{log_path.name}.1"))
