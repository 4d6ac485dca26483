"""Texts that programs sent, a sample of them, for people to look through: a file that grows by a line for each.

A text has a rank, the lower the sooner it comes into the sample: -ln(u) (sureness + HEAD_START), where u in (0, 1) is
told by the text alone, and sureness is the least distance, in log-odds, of a label's confidence from its threshold. So
the sample is a weighted one without replacement (Efraimidis and Spirakis 2006) of all texts that differ, it is the same
however often each was sent, and the file alone tells it, whenever the console was killed. Lines of what has left the
sample go when the file is written anew.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import heapq
import json
import math
import os
import stat
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from pipeline.errors import InputError
from pipeline.files.lines import bounded_lines
from pipeline.labels.decoding import Answer
from pipeline.records import from_fields, parse_json
from pipeline.served import ServedModel

MOST_BYTES = 10_000_000
"""Of the texts of a sample, as UTF-8. The file takes twice of it and of the lines at most."""
HEAD_START = 0.5
"""A text at its threshold is kept up to 11 times as often as one that lies 5 above."""
DRAFT = ".draft"
_START = b'{"kept": "'


@dataclass(frozen=True)
class KeptText:
    """A text of the sample.

    Attributes:
        kept: when, in UTC.
        rank: see above.
        bundle: the identity of the bundle that answered it.
        text: as it was sent.
    """

    kept: str
    rank: float
    bundle: str
    text: str

    def line(self) -> bytes:
        return json.dumps(asdict(self), ensure_ascii=False).encode() + b"\n"


class KeptTexts:
    """The sample, and its file; usable from several threads, of one console alone.

    Where the file is removed, what was kept is forgotten, and a new one is begun.

    Args:
        path: the file; it is made at once, for its owner alone.
        most: texts.

    Raises:
        InputError: the file cannot be written, holds something else, or another console keeps texts there.
    """

    def __init__(self, path: Path, most: int) -> None:
        self.path, self.most = path, most
        self._alone, self._file, self._failed = threading.Lock(), -1, False
        self._kept: dict[str, KeptText] = {}
        self._heap: list[tuple[float, str]] = []
        self._bytes = self._lines = self._size = 0
        self._open()

    def add(self, texts: Sequence[str], answers: Sequence[Answer], served: ServedModel) -> None:
        """Take texts that were answered, as far as they come into the sample; a note says where that fails."""
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        ranks = [_rank(text, _sureness(answer, served)) for text, answer in zip(texts, answers)]
        try:
            with self._alone:
                self._add([KeptText(now, rank, served.bundle, text) for text, rank in zip(texts, ranks)])
            self._failed = False
        except (OSError, InputError) as error:
            if not self._failed:
                print(f"note: texts are not kept in {self.path}: {error}", file=sys.stderr, flush=True)
            self._failed = True

    def texts(self) -> list[str]:
        """The sample, the lowest rank first."""
        with self._alone:
            self._look()
            return [each.text for each in sorted(self._kept.values(), key=lambda each: each.rank)]

    def _add(self, ranked: Sequence[KeptText]) -> None:
        self._look()
        new = [each for each in ranked if self._take(each)]
        lines = b"".join(each.line() for each in new if each.text in self._kept)
        if not lines:
            return
        try:
            self._write(lines)
        except OSError:
            for each in new:
                self._drop(each)
            self._heap = [(-each.rank, each.text) for each in self._kept.values()]
            heapq.heapify(self._heap)
            raise
        if self._size > 2 * MOST_BYTES or self._lines > 2 * self.most:
            self._write_anew()

    def _take(self, new: KeptText) -> bool:
        """Whether it comes into the sample, out of which goes what has no room any more."""
        if new.text in self._kept or (len(self._kept) >= self.most and -self._heap[0][0] <= new.rank):
            return False
        self._kept[new.text] = new
        self._bytes += len(new.text.encode())
        heapq.heappush(self._heap, (-new.rank, new.text))
        while len(self._kept) > self.most or self._bytes > MOST_BYTES:
            self._drop(self._kept[heapq.heappop(self._heap)[1]])
        return new.text in self._kept

    def _drop(self, kept: KeptText) -> None:
        if self._kept.pop(kept.text, None):
            self._bytes -= len(kept.text.encode())

    def _open(self) -> None:
        """Read the file, which is made if need be, and hold it."""
        try:
            while True:
                self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._is_there():
                    break
                self._close()  # it was replaced meanwhile
            if not stat.S_ISREG(os.lstat(self.path).st_mode):
                raise InputError(f"--keep_texts {self.path} is a link, or no file; name a file")
            self._read()
            os.fchmod(self._file, 0o600)
            self._draft().unlink(missing_ok=True)
        except InputError:
            self._close()
            raise
        except BlockingIOError:
            self._close()
            raise InputError(f"another console keeps texts in {self.path}; name another --keep_texts") from None
        except OSError as error:
            raise InputError(f"--keep_texts {self.path} cannot be written: {error.strerror}") from None

    def _read(self) -> None:
        self._kept, self._heap, self._bytes, self._lines = {}, [], 0, 0
        with open(self.path, "rb") as stream:
            for number, raw in enumerate(bounded_lines(stream), start=1):
                self._lines = number
                try:
                    self._take(from_fields(KeptText, parse_json(raw)))
                except ValueError as error:
                    # Of a console that was killed in the middle of a line there is its beginning.
                    if not (raw.startswith(_START) or _START.startswith(raw.strip())):
                        said = (
                            f"--keep_texts {self.path}:{number} is no text that was kept ({error}); name another file"
                        )
                        raise InputError(said) from None
            self._size = stream.tell()

    def _is_there(self) -> bool:
        with contextlib.suppress(OSError):
            return os.path.samestat(os.stat(self.path), os.fstat(self._file))
        return False

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1

    def _look(self) -> None:
        """Begin anew where somebody removed the file, or what it held."""
        if not self._is_there() or os.fstat(self._file).st_size < self._size:
            self._close()
            self._open()

    def _write(self, lines: bytes) -> None:
        """Add lines; what a full disk took of them is taken back."""
        size = os.fstat(self._file).st_size
        begun = size > 0 and os.pread(self._file, 1, size - 1) != b"\n"
        raw = b"\n" * begun + lines
        try:
            if os.write(self._file, raw) < len(raw):
                raise OSError(28, "no space is left")
        except OSError:
            os.ftruncate(self._file, size)
            raise
        self._size, self._lines = size + len(raw), self._lines + lines.count(b"\n")

    def _write_anew(self) -> None:
        """Write the sample alone to a file that takes the place of the other one."""
        draft = os.open(self._draft(), os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        lines = b"".join(each.line() for each in self._kept.values())
        try:
            fcntl.flock(draft, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.write(draft, lines) < len(lines):
                raise OSError(28, "no space is left")
            os.replace(self._draft(), self.path)
        except OSError:
            os.close(draft)
            self._draft().unlink(missing_ok=True)
            raise
        os.close(self._file)
        self._file, self._size, self._lines = draft, len(lines), len(self._kept)

    def _draft(self) -> Path:
        return self.path.with_name(self.path.name + DRAFT)


def _sureness(answer: Answer, served: ServedModel) -> float:
    """The least distance of a label's confidence from its threshold, in log-odds; 0 where there is no label."""
    columns = [served.hierarchy.find(label) for label, _ in answer]
    known = (
        (served.thresholds[column], each.confidence) for column, each in zip(columns, answer) if column is not None
    )
    return min((abs(_log_odds(confidence) - _log_odds(threshold)) for threshold, confidence in known), default=0.0)


def _log_odds(share: float) -> float:
    share = min(max(share, 1e-7), 1 - 1e-7)
    return math.log(share / (1 - share))


def _rank(text: str, sureness: float) -> float:
    drawn = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
    return -math.log((drawn + 1) / (2**64 + 2)) * (sureness + HEAD_START)
