"""Stop the servers that were started from here: `python -m serving.stop`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pipeline.command import run
from serving.folders import default_state_dir
from serving.process.record import SUFFIX, read


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m serving.stop", description=__doc__)
    parser.add_argument(
        "--state_dir",
        type=Path,
        default=default_state_dir(),
        help="folder where the servers were recorded (default: %(default)s)",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    stopped = 0
    for path in sorted(parse_args(argv).state_dir.glob(f"*{SUFFIX}")):
        record = read(path)
        if record and record.stop():
            print(f"stopped {record.name} (process {record.pid})")
            stopped += 1
        path.unlink(missing_ok=True)
    if not stopped:
        print("no server is running that was started from here")
    return 0


if __name__ == "__main__":
    run(main)
