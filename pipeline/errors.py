"""Errors sorted by whose fault they are.

Every message says what was wrong, where, and what to do. Commands print it after `error:` and leave with the
error's `exit_status`; servers put it in their answer.
"""

from __future__ import annotations

import errno

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Numbers of the OSError of a write where a disk is full, or a file as large as may be."""


class ClassifierError(Exception):
    """Base of every error that this project raises on purpose."""

    exit_status = 1


class InputError(ClassifierError, ValueError):
    """What a caller handed in (a text, a row, a file, an option) cannot be used; the caller can mend it."""

    exit_status = 2


class DatasetError(InputError):
    """A dataset file is wrong at a known place.

    The message reads `path:line: reason`, the form that editors and terminals turn into a link.
    """

    def __init__(self, path: object, line: int | None, reason: str) -> None:
        self.path, self.line, self.reason = str(path), line, reason
        place = f"{path}:{line}" if line else f"{path}"
        super().__init__(f"{place}: {reason}")


class BundleError(InputError):
    """A bundle or a checkpoint is absent, incomplete, altered, or of a format that this version does not read."""


class EnvironmentFault(ClassifierError):
    """The machine lacks something: a program, a device, a library, a free port."""

    exit_status = 3


class ServerError(ClassifierError):
    """A server failed to start, stopped, or refused a request for reasons of its own."""

    exit_status = 4
