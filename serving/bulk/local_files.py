"""Files of this machine: links are followed, and each folder is read once."""

from __future__ import annotations

import math
import os
import re
import stat
import sys
from collections import deque

from fsspec.utils import glob_translate
from tqdm import tqdm

from pipeline.errors import InputError


def say(line: str) -> None:
    """Tell the user on standard error, past a bar that may stand there."""
    tqdm.write(line, file=sys.stderr)


def files_below(folder: str, levels: float = math.inf, hidden: bool = False) -> list[str]:
    """Paths of the files in a folder and in its folders, down to so many levels, linked ones included.

    A folder to which several ways lead is read once, if it can be without a link, and the others are told.

    Args:
        hidden: whether folders are read whose names begin with `.` or `_`.

    Raises:
        OSError: a folder cannot be read.
    """
    found, seen, waiting = list[str](), dict[str, str](), deque([folder])
    while waiting:
        for path, folders, files in os.walk(waiting.popleft(), onerror=_raise):
            first = seen.setdefault(os.path.realpath(path), path)
            if first != path:
                say(f"{path} is {first}, which is read already; passed over")
                folders.clear()
                continue
            found += (os.path.join(path, name) for name in files)
            level = 1 if path == folder else os.path.relpath(path, folder).count(os.sep) + 2
            folders[:] = sorted(name for name in folders if level < levels and (hidden or name[0] not in "._"))
            waiting += (os.path.join(path, name) for name in folders if os.path.islink(os.path.join(path, name)))
    return found


def matching(pattern: str, folder: str) -> list[str]:
    """Paths of the files below a folder that match a pattern, in which it stands first; none where it is absent."""
    if not os.path.isdir(folder):
        return []
    levels = math.inf if "**" in pattern else pattern[len(folder) :].lstrip("/").count("/") + 1
    matches = re.compile(glob_translate(pattern)).match
    return [path for path in files_below(folder, levels, hidden=True) if matches(path)]


def state(path: str) -> tuple[int, str]:
    """Size in bytes, and time of the last change, of the file that a path leads to.

    Raises:
        OSError: it leads to none.
        InputError: it leads to what is no file, such as a pipe.
    """
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{path} is no file that can be read again; give a file, or a folder")
    return found.st_size, str(found.st_mtime)


def _raise(error: OSError) -> None:
    raise error
