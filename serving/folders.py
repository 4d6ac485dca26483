"""Where things lie: the published models, and the logs, records and derived files of servers started from here."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import EnvironmentFault
from pipeline.local_servers import PROJECT, build_dir

MODEL_REPOSITORY = PROJECT / "model_repository"
TRITON, PADDLE = SERVERS = ("triton", "paddle")
"""The servers, as --only and the records of their processes name them."""
CONSOLE = "console"
"""So is the page named that asks them."""
PLAIN = re.compile(r"[A-Za-z0-9._/-]+")


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
            raise EnvironmentFault(
                f"another process is publishing to {folder}; try again when it is done, or end it by Ctrl-C or "
                "SIGTERM, which takes back what it began"
            ) from None
        yield
    finally:
        os.close(descriptor)


def private_folder() -> Path:
    """A folder for links and sockets that nobody else can enter.

    Raises:
        EnvironmentFault: it belongs to somebody else, or others may write to it, or its own path is none for a shell.
    """
    folder = Path(tempfile.gettempdir()).resolve() / f"text-classifier-{os.getuid()}"
    if not PLAIN.fullmatch(str(folder)):
        raise EnvironmentFault(f"temporary files lie in {folder.parent}; set TMPDIR to a path of plain characters")
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise EnvironmentFault(f"{folder} is not this user's alone: remove it, or set TMPDIR to another folder")
    return folder


def plain(path: Path) -> Path:
    """`path`, or a link to it where it has other characters than letters, digits and `._-/`.

    Triton's Python backend starts its processes by a line that it hands to a shell, unquoted: of anything but plain
    characters the shell would make something else, or run it.

    Raises:
        EnvironmentFault: the folder for links belongs to somebody else.
    """
    if PLAIN.fullmatch(str(path)):
        return path
    link = private_folder() / hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    if not link.is_symlink():
        link.symlink_to(path)
    return link
