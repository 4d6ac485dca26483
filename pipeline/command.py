"""What every command of this project does around its own work: report errors and stop cleanly."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import Callable, TextIO

from pipeline.errors import NO_ROOM, ClassifierError, EnvironmentFault

ENDING = (signal.SIGTERM, signal.SIGHUP)
"""Signals that end a command which takes back what it began."""


def run(main: Callable[[Sequence[str] | None], int | None]) -> None:
    """Run a command's `main` and leave the process with the right exit status.

    A `ClassifierError` becomes one line on standard error and its own status. What the operating system refuses (a
    full disk, a missing permission) is a fault of the machine. An interrupt gives 130; a reader that closes our output
    early (`| head`) is no error. Whatever the umask, others may not write to what a command leaves.
    """
    os.umask(os.umask(0o022) | 0o002)
    try:
        let_hold_any_text(sys.stdout)
        status = main(None)
        sys.stdout.flush()
    except ClassifierError as error:
        print(f"error: {error}", file=sys.stderr)
        status = error.exit_status
    except KeyboardInterrupt:
        status = 128 + signal.SIGINT
    except BrokenPipeError:
        # Python would complain once more when it flushes standard output on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    except OSError as error:
        hint = ""
        if error.errno in NO_ROOM and error.filename is None:
            hint = f"; make room where the command writes, where its output goes, or in {tempfile.gettempdir()}"
        print(f"error: {error}{hint}", file=sys.stderr)
        status = EnvironmentFault.exit_status
    sys.exit(status or 0)


@contextlib.contextmanager
def ended_in_order() -> Iterator[None]:
    """Let SIGTERM, and SIGHUP of a terminal that closes, end a block by SystemExit, with status 128 and the signal's
    number, so that it can take back what it began; under nohup SIGHUP is still ignored.

    For the main thread; the process numbered 1 of a container would not even notice the signals otherwise.

    Raises:
        EnvironmentFault: what the block told was cut off, as by `| head`; it is no success then.
    """
    handled = [number for number in ENDING if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, lambda got, _: sys.exit(128 + got)) for number in handled}
    try:
        yield
    except BrokenPipeError as error:
        raise EnvironmentFault("whoever read the output has gone, and what was begun is taken back") from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def announce(what: str) -> None:
    """Say on standard error, in one line, what is done next and may take long."""
    sys.stderr.write(f"{what} ...\n")
    sys.stderr.flush()


def let_hold_any_text(stream: TextIO) -> None:
    """Let an output whose encoding is not UTF-8 (LANG=C, cp1252, gbk) hold any text, instead of failing midway.

    A terminal keeps its encoding, and what it cannot show is escaped. A file or a pipe gets UTF-8, as every file of
    this project, with a note.
    """
    encoding = getattr(stream, "encoding", None)
    if not isinstance(stream, io.TextIOWrapper) or not encoding or codecs.lookup(encoding).name == "utf-8":
        return
    if stream.isatty():
        stream.reconfigure(errors="backslashreplace")
    else:
        print(f"note: the output is written in UTF-8, not in {encoding}, which cannot hold all texts", file=sys.stderr)
        stream.reconfigure(encoding="utf-8")
