"""Stop the servers and consoles that were started from here: `python -m serving.stop`, or `... --dry_run` to list them.

It runs on any Python 3.9 or later, without the environment that `make setup` prepares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.command import run
from pipeline.errors import EnvironmentFault
from pipeline.local_servers import SUFFIX, default_state_dir
from pipeline.options import Options, option, parse
from serving.folders import CONSOLE, SERVERS
from serving.process.record import ProcessRecord

RUNNING_STATUS = 5
"""Of no error in `pipeline.errors`."""


@dataclass(frozen=True)
class StopOptions(Options):
    """Which servers to stop."""

    only: str | None = option(None, "stop this server alone", choices=(*SERVERS, CONSOLE))
    dry_run: bool = option(False, "only say what is running; the exit status is then 5 where something is")
    state_dir: Path | None = option(None, "where servers that were started from here are recorded (build/run)")


def stop(options: StopOptions) -> list[ProcessRecord]:
    """Stop servers and remove their records; those that ran, or with `dry_run` that run.

    Raises:
        ServerError: a process does not end.
        EnvironmentFault: a record is damaged; all others were stopped.
    """
    stopped, faults = [], []
    folder = options.state_dir or default_state_dir()
    for path in sorted(folder.glob(f"{options.only}-*{SUFFIX}" if options.only else f"*{SUFFIX}")):
        try:
            record = ProcessRecord.read(path)
        except EnvironmentFault as fault:
            faults.append(str(fault))
            continue
        if options.dry_run:
            stopped += [record] if record and record.is_running() else []
            continue
        if record and record.stop():
            stopped.append(record)
        path.unlink(missing_ok=True)
    if faults:
        raise EnvironmentFault("; ".join(faults))
    return stopped


def parse_args(argv: Sequence[str] | None) -> StopOptions:
    return parse(StopOptions, argv, __doc__, prog="python -m serving.stop")


def main(argv: Sequence[str] | None = None) -> int:
    options = parse_args(argv)
    stopped = stop(options)
    for record in stopped:
        said = f"{record.name} is running" if options.dry_run else f"stopped {record.name}"
        print(f"{said} (process {record.pid})")
    if not stopped:
        print("no server is running that was started from here")
    return RUNNING_STATUS if options.dry_run and stopped else 0


if __name__ == "__main__":
    run(main)
