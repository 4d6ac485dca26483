"""Let servers answer by an earlier version again: `python -m serving.rollback`, or `... --version 3`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pipeline.command import run
from serving.publish import live_where
from serving.triton.deployment import Deployment
from serving.triton.running_servers import add_server_options, find_servers, repository_of


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m serving.rollback", description=__doc__)
    parser.add_argument("--version", type=int, help="the version to go back to (the one before the live one)")
    add_server_options(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    servers = find_servers(args)
    version = Deployment(repository_of(args), servers).roll_back(args.version)
    print(f"version {version.number} (bundle {version.bundle}) is live again; {live_where(servers)}")


if __name__ == "__main__":
    run(main)
