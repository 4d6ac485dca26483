"""What every command of this project does around its own work: report errors and stop cleanly."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Callable

from pipeline.errors import ClassifierError


def run(main: Callable[[Sequence[str] | None], int | None]) -> None:
    """Run a command's `main` and leave the process with the right exit status.

    A `ClassifierError` becomes one line on standard error and its own status; so does what the operating system
    refuses (a full disk, a missing permission). An interrupt gives 130; a reader that closes our output early
    (`| head`) is no error. Whatever the umask, others may not write to what a command leaves.
    """
    os.umask(os.umask(0o022) | 0o002)
    try:
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
        print(f"error: {error}", file=sys.stderr)
        status = ClassifierError.exit_status
    sys.exit(status or 0)
