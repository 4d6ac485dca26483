"""Stop the servers that were started from here: `python -m serving.stop`.

It runs on any Python 3.9 or later, without the environment that `make setup` prepares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.command import run
from pipeline.options import Options, option, parse
from serving.folders import SERVERS, default_state_dir
from serving.process.record import SUFFIX, ProcessRecord, read


@dataclass(frozen=True)
class StopOptions(Options):
    """Which servers to stop."""

    only: str | None = option(None, "stop this server alone", choices=SERVERS)
    state_dir: Path | None = option(None, "where servers that were started from here are recorded (build/run)")


def stop(options: StopOptions) -> list[ProcessRecord]:
    """Stop servers and remove their records; those that ran.

    Raises:
        ServerError: a process does not end.
    """
    stopped = []
    folder = options.state_dir or default_state_dir()
    for path in sorted(folder.glob(f"{options.only}-*{SUFFIX}" if options.only else f"*{SUFFIX}")):
        record = read(path)
        if record and record.stop():
            stopped.append(record)
        path.unlink(missing_ok=True)
    return stopped


def parse_args(argv: Sequence[str] | None) -> StopOptions:
    return parse(StopOptions, argv, __doc__, prog="python -m serving.stop")


def main(argv: Sequence[str] | None = None) -> int:
    stopped = stop(parse_args(argv))
    for record in stopped:
        print(f"stopped {record.name} (process {record.pid})")
    if not stopped:
        print("no server is running that was started from here")
    return 0


if __name__ == "__main__":
    run(main)
