"""Predictions as a stream that may be interrupted at any moment and taken up again.

While a run writes `out.txt`, `out.txt.progress` says how far it is: rows answered, bytes of the output that hold
these answers, a checksum of the input lines read for them, and the run's model and options. It is replaced in one
step after the output has reached the disk, and it is removed when the run is complete. So whatever happens, the
output can be cut back to its last whole chunk, and the input taken up behind it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from pipeline.errors import ClassifierError, DatasetError, EnvironmentFault, InputError
from pipeline.files.atomic import atomic_writer
from pipeline.files.dataset import read_texts
from pipeline.records import from_fields, read_json
from pipeline.text.normalisation import MAX_TEXT_CHARACTERS

MAX_LINE_BYTES = 4 * MAX_TEXT_CHARACTERS + len(b"\xef\xbb\xbf\r\n")
"""A longer line holds a text above the limit in any case, and is not read as a whole."""


class InputLines:
    """The lines of a stream, and how much of it has been read.

    Attributes:
        name: what messages call the stream.
        rows: lines that `texts` has yielded the texts of.
        bytes: the length of these lines.
    """

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self.name, self.rows, self.bytes = name, 0, 0
        self._stream, self._line = stream, b""
        self._digest = hashlib.sha256()

    def texts(self) -> Iterator[str]:
        """Yield the text of each line.

        Raises:
            DatasetError: a line is no text that can be classified; it is not counted.
        """
        for text in read_texts(self):
            self.rows += 1
            self.bytes += len(self._line)
            self._digest.update(self._line)
            yield text

    def __iter__(self) -> Iterator[bytes]:
        """Yield each line with its ending; raises DatasetError for one longer than MAX_LINE_BYTES."""
        for line in iter(lambda: self._stream.readline(MAX_LINE_BYTES + 1), b""):
            if len(line) > MAX_LINE_BYTES:
                limit = f"{MAX_TEXT_CHARACTERS:,} characters"
                raise DatasetError(self.name, self.rows + 1, f"the text is longer than {limit}; shorten it")
            self._line = line
            yield line

    def checksum(self) -> str:
        """SHA-256 of the lines counted, in hexadecimal."""
        return self._digest.hexdigest()


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        run: its model and options, everything that the answers depend on.
        rows: texts answered.
        output_bytes: length of their answers.
        input_checksum: of the input's first `rows` lines, see `InputLines.checksum`.
    """

    run: dict[str, Any]
    rows: int = 0
    output_bytes: int = 0
    input_checksum: str = hashlib.sha256().hexdigest()

    def __post_init__(self) -> None:
        for value, kind in ((self.run, dict), (self.rows, int), (self.output_bytes, int), (self.input_checksum, str)):
            if not isinstance(value, kind):
                raise TypeError(f"{value!r} where {kind.__name__} is needed")


def check_output(path: Path, resume: bool) -> bool:
    """Whether there is anything to do for a run that writes to `path`; judged before a model is loaded.

    Returns:
        False where `resume` finds a finished output.

    Raises:
        InputError: `path` is not an ordinary file, or an interrupted run lies there and `resume` was not asked for.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"--output_file {path} is no ordinary file; leave it out to write to standard output")
    progress = _read_progress(path)
    if progress is not None and progress.rows and not resume:
        raise InputError(
            f"{path} holds the first {progress.rows} rows of a run that has not finished; go on with --resume, "
            f"or remove {progress_path(path)} to begin anew"
        )
    return not (resume and progress is None and path.exists())


class PredictionsFile:
    """The output of one run, begun or taken up again; to be used in a `with` statement.

    Args:
        path: the output; what a finished run left there is replaced.
        run: see `Progress`.

    Raises:
        InputError: an interrupted run lies there that was another one, or its output was changed since.
        ClassifierError: another process is writing there.
    """

    def __init__(self, path: Path, run: Mapping[str, Any]) -> None:
        self._path = Path(os.path.realpath(path))  # the file that a link leads to is written
        found = _read_progress(self._path)
        if found is not None and found.rows:
            _check_same_run(found, run, self._path)
            self.progress = found
        else:
            self._record(Progress(dict(run)))  # first: an output without a record beside it is a complete one
        self._stream = os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o644), "wb")
        try:
            self._cut_back()
        except BaseException:
            self._stream.close()
            raise

    def _cut_back(self) -> None:
        try:
            fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ClassifierError(f"another process is writing {self._path}; let it finish or stop it") from None
        except OSError:
            pass  # a network file system without locks
        length = os.fstat(self._stream.fileno()).st_size
        if length < self.progress.output_bytes:
            raise InputError(
                f"{self._path} has {length} bytes, and {self.progress.output_bytes} had been written: it was changed "
                f"since; remove {progress_path(self._path)} to begin anew"
            )
        self._stream.truncate(self.progress.output_bytes)
        self._stream.seek(0, os.SEEK_END)

    def check_input(self, lines: InputLines) -> None:
        """Compare what was read of the input with what the rows written so far were made from.

        Raises:
            InputError: they differ.
        """
        if (lines.rows, lines.checksum()) != (self.progress.rows, self.progress.input_checksum):
            raise InputError(
                f"the first {self.progress.rows} lines of {lines.name} are not those whose answers {self._path} "
                f"holds; give the same file, or remove {progress_path(self._path)} to begin anew"
            )

    def append(self, block: bytes, lines: InputLines) -> None:
        """Write the answers to the texts that `lines` gave since the last call, and make sure that they last.

        Raises:
            EnvironmentFault: the disk is full, or fails.
        """
        try:
            self._stream.write(block)
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self._record(Progress(self.progress.run, lines.rows, self._stream.tell(), lines.checksum()))
        except OSError as error:
            raise EnvironmentFault(f"cannot write {self._path}: {error.strerror}") from error

    def _record(self, progress: Progress) -> None:
        with atomic_writer(progress_path(self._path)) as stream:
            stream.write(json.dumps(asdict(progress), ensure_ascii=False, indent=1).encode() + b"\n")
        self.progress = progress

    def __enter__(self) -> PredictionsFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # what could not be written is still in the buffer
            self._stream.close()
        if kind is None:
            progress_path(self._path).unlink()
        elif self.progress.rows:
            print(
                f"note: {self._path} holds the answers to the first {self.progress.rows} rows; go on with --resume",
                file=sys.stderr,
            )


def progress_path(path: Path) -> Path:
    """Where the progress of a run that writes to `path` is kept."""
    real = Path(os.path.realpath(path))
    return real.with_name(f"{real.name}.progress")


def _read_progress(path: Path) -> Progress | None:
    beside = progress_path(path)
    try:
        return from_fields(Progress, read_json(beside))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise InputError(f"{beside} is no record of an interrupted run ({error}); move it away") from error


def _check_same_run(found: Progress, run: Mapping[str, Any], path: Path) -> None:
    for name in {**found.run, **run}:
        before, now = found.run.get(name), run.get(name)
        if before != now:
            raise InputError(
                f"the run that {path} was begun with had {name} {before!r}, and now it is {now!r}; give the same, "
                f"or remove {progress_path(path)} to begin anew"
            )
