"""A server process that lives as long as a `with` block, and never longer than the process that started it.

How it is ended along with all that belongs to it is told in guard.py.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from pipeline.errors import ServerError
from serving.process import guard, processes
from serving.process.record import ProcessRecord

KILL_MARGIN_SECONDS = 5.0

Server = TypeVar("Server", bound="GuardedServer")


class GuardedServer:
    """What starting and ending is like for every server; a subclass says what to start.

    Args:
        name: of its record, by which `python -m serving.stop` finds it, and of its log.
        state_dir: folder of record and log.
        log_path: takes its output; the log of the start before, or what a long one began with, is kept with `.1` added.
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
        self._told = False

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
                [*guarded, self.shared_memory_prefix, str(self.log_path), *command],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                bufsize=0,
                stderr=log,
                cwd=folder,
                start_new_session=True,
            )
        patience = self.patience_seconds + KILL_MARGIN_SECONDS
        self._record = ProcessRecord.of(self.name, self._guard.pid, patience, self.shared_memory_prefix, **serves)
        self._record.write(self.state_dir)
        assert self._guard.stdout
        self.pid = int(self._guard.stdout.readline() or 0)

    def terminate(self) -> None:
        """Tell the server to finish what it has accepted and to end; does not wait for it."""
        if self._guard:
            self._guard.terminate()

    def stop(self, seconds: float | None = None) -> None:
        """Let accepted requests finish, then end the server and all that belongs to it; doing it twice is fine.

        An interrupt while waiting (a second Ctrl-C) ends it at once.

        Args:
            seconds: that requests have, where it is not the server's own patience.
        """
        if not self._guard:
            return
        try:
            if self._guard.poll() is None:
                self._guard.terminate()
                self._guard.send_signal(signal.SIGCONT)  # one that was halted would not notice
            if seconds is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._guard.wait(seconds)
                self._guard.send_signal(signal.SIGINT)  # a second SIGTERM might be merged with the first
            self._wait(self.patience_seconds + KILL_MARGIN_SECONDS if seconds is None else KILL_MARGIN_SECONDS)
        except BaseException:
            self._guard.terminate()
            self._wait(KILL_MARGIN_SECONDS)
            raise
        finally:
            guard.remove_shared_memory(self.shared_memory_prefix)
            if self._record:
                self._record.remove(self.state_dir)
            if self._guard.poll() is not None:
                assert self._guard.stdout
                self._guard.stdout.close()
                self._guard, self._told = None, False

    def _wait(self, seconds: float) -> None:
        """Wait for the guard to end; one that does not is killed, and its descendants with it."""
        assert self._guard
        try:
            self._guard.wait(seconds)
        except subprocess.TimeoutExpired:
            processes.kill_with_descendants(self._guard.pid)
            self._guard.wait()

    @contextlib.contextmanager
    def at_rest(self) -> Iterator[None]:
        """While the server is down, and is to start again, who stops it by its record ends this process."""
        record = ProcessRecord.of(self.name, os.getpid(), self.patience_seconds + KILL_MARGIN_SECONDS)
        record.write(self.state_dir)
        try:
            yield
        finally:
            record.remove(self.state_dir)

    def keep_record(self) -> None:
        """Write what is gone from the state folder again; what fails, the next call does."""
        with contextlib.suppress(OSError):  # of a full disk, or of a folder that goes meanwhile, no server has to end
            self._keep_files()

    def _keep_files(self) -> None:
        if self._record and not self._record.path(self.state_dir).exists():
            self._record.write(self.state_dir)

    @property
    def was_told_to_stop(self) -> bool:
        """Whether it was told to end, and has done so or is answering what it had accepted before."""
        if self._guard and self._guard.stdout and select.select([self._guard.stdout], [], [], 0)[0]:
            self._told |= bool(os.read(self._guard.stdout.fileno(), len(guard.TOLD)))
        return self._told

    def status(self) -> int | None:
        """The server's exit status, 0 where it was told to stop; None while it runs."""
        if not self._guard:
            raise ServerError("this server was not started")
        return self._guard.poll()

    def log(self) -> str:
        """What the server has printed since its start; empty where its log was moved or removed."""
        with contextlib.suppress(FileNotFoundError):
            return self.log_path.read_text(encoding="utf-8", errors="replace")
        return ""


def _rotate(log_path: Path) -> None:
    log_path.parent.mkdir(parents=True, exist_ok=True)
    if log_path.exists():
        log_path.replace(log_path.with_name(f"{log_path.name}.1"))
