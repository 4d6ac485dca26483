"""A file that the service touches whenever the model has answered, so that overload is told from standstill.

A golden text says little of a service that has too much to do: it is refused or late, like every other request.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

VARIABLE = "SEQ_CLS_HEARTBEAT"
"""The environment variable that tells the service where the file lies; without it there is none."""


def beat() -> None:
    """Say that the model has answered."""
    path = os.environ.get(VARIABLE)
    if path:
        with contextlib.suppress(OSError):  # a full disk is no reason to answer nobody
            Path(path).touch()


def last_beat(path: Path) -> int:
    """When the model has answered last, in nanoseconds of the file system's clock; 0 where it never has."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
