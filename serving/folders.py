"""Where things lie: the published models, and the logs, records and derived files of servers started from here."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import EnvironmentFault

PROJECT = Path(__file__).resolve().parent.parent
MODEL_REPOSITORY = PROJECT / "model_repository"
TRITON, PADDLE = SERVERS = ("triton", "paddle")
"""The servers, as --only and the records of their processes name them."""


def build_dir() -> Path:
    """`build/` of this checkout, or of the current folder where this code was installed without one."""
    return (PROJECT if (PROJECT / "pyproject.toml").is_file() else Path.cwd()) / "build"


def default_state_dir() -> Path:
    """Folder of process records and logs."""
    return build_dir() / "run"


def paddle_folder(model_repository: Path = MODEL_REPOSITORY) -> Path:
    """What Paddle Serving serves, beside a model repository: `build/paddle_serving` beside the project's own."""
    if model_repository.resolve() == MODEL_REPOSITORY.resolve():
        return build_dir() / "paddle_serving"
    return model_repository.with_name(f"{model_repository.name}.paddle")


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes from publishing to a folder meanwhile; it is made where it is absent.

    Raises:
        EnvironmentFault: one is at it already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EnvironmentFault(f"another process is publishing to {folder}; try again when it is done") from None
        yield
    finally:
        os.close(descriptor)


def spaceless(path: Path) -> Path:
    """`path`, or a link to it where it contains white space.

    Triton's Python backend starts its processes by a command line that it does not quote.

    Raises:
        EnvironmentFault: the folder for links belongs to somebody else.
    """
    if not any(map(str.isspace, str(path))):
        return path
    folder = Path(tempfile.gettempdir()) / f"text-classifier-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise EnvironmentFault(f"{folder} belongs to somebody else: remove it, or use a path without spaces for {path}")
    link = folder / hashlib.sha256(str(path).encode()).hexdigest()[:16]
    if not link.is_symlink():
        link.symlink_to(path)
    return link
