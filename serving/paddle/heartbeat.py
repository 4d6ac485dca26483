"""What each process of the service leaves in a folder for who watches it, beside the path that a variable names:

    PATH-0         touched whenever the model has answered, so that overload is told from standstill
    PATH-0.door    the process's number, and a port on loopback where a golden text is asked past all other callers

A golden text by the usual way says little of a service that has too much to do: it is refused or late, like all others.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "SEQ_CLS_HEARTBEAT"
"""The environment variable; without it nothing is left. A service of an earlier release touches PATH itself."""


@dataclass(frozen=True)
class Worker:
    """One process of a service.

    Attributes:
        path: what VARIABLE says.
        number: of the process, from 0.
    """

    path: Path
    number: int

    @classmethod
    def own(cls, number: int) -> Worker | None:
        """This process, where it is watched."""
        path = os.environ.get(VARIABLE)
        return cls(Path(path), number) if path else None

    @property
    def beat_file(self) -> Path:
        return self.path.with_name(f"{self.path.name}-{self.number}")

    @property
    def door_file(self) -> Path:
        return self.path.with_name(f"{self.path.name}-{self.number}.door")

    def beat(self) -> None:
        """Say that the model has answered."""
        with contextlib.suppress(OSError):  # a full disk is no reason to answer nobody
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.beat_file.touch()

    def announce(self, port: int) -> None:
        """Say where this process is asked golden texts."""
        with contextlib.suppress(OSError):
            draft = self.door_file.with_suffix(".draft")
            draft.write_text(json.dumps([os.getpid(), port]), encoding="ascii")
            draft.replace(self.door_file)

    def last_beat(self) -> int | None:
        """When the model has answered last, in nanoseconds of the file system's clock; None where it never has."""
        for path in (self.beat_file, self.path):
            with contextlib.suppress(OSError):
                return path.stat().st_mtime_ns
        return None

    def door(self) -> tuple[int, int] | None:
        """The process's number and the port; None where it has announced none."""
        with contextlib.suppress(OSError, ValueError):
            process, port = json.loads(self.door_file.read_text(encoding="ascii"))
            return process, port
        return None
