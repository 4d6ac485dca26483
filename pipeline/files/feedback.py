"""What people said of answers: a file that only grows, a line of JSON for each time.

Of a writer that was killed at most the last line is in pieces; readers pass over that one, and the next line begins
after it.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Callable, Optional

from pipeline.errors import DatasetError, InputError, ServerError
from pipeline.files.lines import bounded_lines
from pipeline.records import from_fields, parse_json

MOST_NAME = 80
"""Characters of who said it."""


@dataclass(frozen=True)
class Correction:
    """What somebody said of the labels that a text was answered.

    Attributes:
        time: when, in UTC, such as 2026-01-31T12:00:00Z, with or without fractions of a second.
        who: a name, by which several people are told apart; spaces around it, and several in it, are taken away.
        bundle: the identity of the bundle that had answered.
        text: the text, as it was classified.
        answered: its label paths.
        labels: those that it should have, equal to `answered` where that was right, none where it belongs nowhere;
            None where the answer is wrong and nobody said what is right.
    """

    time: str
    who: str
    bundle: str
    text: str
    answered: tuple[str, ...]
    labels: Optional[tuple[str, ...]]  # noqa: UP045 - Python 3.9 evaluates it

    def __post_init__(self) -> None:
        object.__setattr__(self, "who", " ".join(filter(None, self.who.split(" "))))
        _utc(self.time)
        if not self.who.strip() or len(self.who) > MOST_NAME or not self.who.isprintable():
            raise InputError(f"who is {self.who!r:.40}; give a name of 1 to {MOST_NAME} characters")

    @property
    def when(self) -> datetime:
        """The time, in UTC, without a zone."""
        return _utc(self.time)

    @property
    def person(self) -> str:
        """Equal for the names of one person, in capitals or not."""
        return self.who.casefold()

    def said(self) -> tuple[object, ...]:
        """Equal for what one person says of one answer twice."""
        return self.person, self.text, self.answered, self.labels


def _utc(time: str) -> datetime:
    try:
        if time.endswith("Z") and (when := datetime.fromisoformat(time[:-1])).tzinfo is None:
            return when
    except ValueError:
        pass
    raise InputError(f"time is {time!r:.40}; give one in UTC, such as 2026-01-31T12:00:00Z")


class FeedbackFile:
    """Takes corrections; usable from several threads.

    A line is on the disk before its caller is told that it is kept: SQLite would keep as much, and need a program to be
    read; lines are read, copied and joined with anything.

    Args:
        path: the file; it is made at the first correction.

    Raises:
        DatasetError: it holds what is no correction.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._alone = path, threading.Lock()
        before = in_time(read_feedback(path)) if path.exists() else []
        self._last = {(each.person, each.text): each for each in before}

    def add(self, correction: Correction) -> bool:
        """Keep one; False as `add_all` says."""
        return self.add_all([correction]) == 1

    def add_all(self, corrections: Sequence[Correction]) -> int:
        """Keep all or none; returns how many are new.

        Not new is what the same person has said of this text last, and what is older than that.

        Raises:
            ServerError: they cannot be kept, as on a full disk; the file is as it was.
        """
        with self._alone:
            new: dict[tuple[str, str], Correction] = {}
            lines = []
            for each in corrections:
                key = each.person, each.text
                last = new.get(key) or self._last.get(key)
                if last is None or (last.said() != each.said() and last.when <= each.when):
                    new[key] = each
                    lines.append(json.dumps(asdict(each), ensure_ascii=False) + "\n")
            try:
                if lines:
                    _append(self.path, "".join(lines))
            except OSError as error:
                raise ServerError(f"not kept: {self.path} cannot be written ({error.strerror})") from None
            self._last |= new
            return len(lines)


def in_time(corrections: Iterable[Correction]) -> list[Correction]:
    """The corrections as they were said one after the other; those of the same time stay as they stand."""
    return sorted(corrections, key=lambda each: each.when)


def _append(path: Path, line: str) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # another console may keep its corrections here, too
        size = os.fstat(descriptor).st_size
        begun = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        raw = b"\n" * begun + line.encode("utf-8", "replace")
        try:
            if os.write(descriptor, raw) < len(raw):
                raise OSError(28, "no space is left")
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def read_feedback(path: Path, passed_over: Callable[[str], object] = lambda place: None) -> Iterator[Correction]:
    """The corrections; `passed_over` takes FILE:LINE of lines in pieces, as a writer leaves them that was killed.

    Raises:
        DatasetError: the file cannot be read, or a line is something else.
    """
    try:
        with open(path, "rb") as stream:
            for number, raw in enumerate(bounded_lines(stream), start=1):
                try:
                    fields = parse_json(raw)
                except (json.JSONDecodeError, UnicodeDecodeError):
                    passed_over(f"{path}:{number}")
                    continue
                except ValueError as error:
                    raise DatasetError(path, number, f"this is no correction: {error}") from None
                yield _read(path, number, fields)
    except OSError as error:
        raise DatasetError(path, None, f"cannot be read: {error.strerror}") from None


def _read(path: Path, number: int, fields: Any) -> Correction:
    try:
        return from_fields(Correction, fields)
    except ValueError as error:
        raise DatasetError(path, number, f"this is no correction: {error}") from None
