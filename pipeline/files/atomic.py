"""Writing files and folders so that a reader, or a crash, never finds one half written."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import glob
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from pipeline.errors import NO_ROOM

SETTLED_SECONDS = 60.0
"""After which a draft that nobody holds was left by a process that was killed."""
DRAFT_SUFFIX = ".draft"
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Let the error of a write for which there is no room say what was written; the operating system does not."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM and error.filename is None:
            error.filename = str(path)
        raise


@contextlib.contextmanager
def atomic_writer(path: Path | str) -> Iterator[IO[bytes]]:
    """A binary stream whose content replaces `path` when the block ends well, and vanishes when it does not."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path, SETTLED_SECONDS)
    descriptor, temporary = tempfile.mkstemp(DRAFT_SUFFIX, f".{path.name}.", path.parent)
    try:
        with _naming(path), os.fdopen(descriptor, "wb") as stream:
            with contextlib.suppress(OSError):  # some network file systems know no locks
                _hold(descriptor)
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _sync(path.parent)


@contextlib.contextmanager
def atomic_folder(path: Path | str) -> Iterator[Path]:
    """An empty folder that takes the place of `path` when the block ends well, and vanishes when it does not.

    A folder that was there before is gone only once the new one stands complete beside it. Whatever the umask,
    its owner alone may write to it.
    """
    path = Path(os.path.realpath(path))  # the folder that a link leads to is replaced, not the link
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path, SETTLED_SECONDS)
    temporary = Path(tempfile.mkdtemp(DRAFT_SUFFIX, f".{path.name}.", path.parent))
    held = os.open(temporary, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            _hold(held)
        os.chmod(temporary, 0o755)
        with _naming(path):
            yield temporary
        for file in temporary.rglob("*"):
            if not file.is_symlink():
                os.chmod(file, file.stat().st_mode & ~0o022)
                _sync(file)
        _exchange(temporary, path)
    finally:
        os.close(held)
        shutil.rmtree(temporary, ignore_errors=True)
    _sync(path.parent)


def remove_folder(path: Path) -> None:
    """Remove a folder atomically: it is never seen with some of its files gone."""
    doomed = Path(tempfile.mkdtemp(DRAFT_SUFFIX, f".{path.name}.", path.parent))
    os.rename(path, doomed)
    shutil.rmtree(doomed)


def remove_leftovers(path: Path, settled_seconds: float = 0.0) -> None:
    """Remove what processes that were killed while they wrote `path` have left beside it.

    What a process still holds stays, and what was changed in the last `settled_seconds`: it may be about to be held.
    """
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.????????{DRAFT_SUFFIX}"):
        with contextlib.suppress(OSError):
            if time.time() - leftover.lstat().st_mtime < settled_seconds:
                continue
            descriptor = os.open(leftover, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                _hold(descriptor)
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
            finally:
                os.close(descriptor)


def _hold(descriptor: int) -> None:
    """Tell other processes that a draft is being written, or raise OSError where another says so."""
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _exchange(temporary: Path, path: Path) -> None:
    """Put `temporary` at `path`; what was at `path` is then at `temporary`, for the caller to remove."""
    if not path.exists():
        os.rename(temporary, path)
        return
    # rename() cannot replace a folder that holds files; renameat2() can swap two of them in one step.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, bytes(temporary), _AT_FDCWD, bytes(path), _RENAME_EXCHANGE) == 0:
        return
    code = ctypes.get_errno()
    if code not in (errno.EINVAL, errno.ENOSYS):
        raise OSError(code, os.strerror(code), str(path))
    # Some network file systems cannot swap; there the path is absent between two renames.
    aside = temporary.with_name(f"{temporary.name}.old")
    os.rename(path, aside)
    os.rename(temporary, path)
    os.rename(aside, temporary)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
