"""List the published versions: `python -m serving.versions`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pipeline.command import run
from serving.triton.configs.ensemble import TOKENISER
from serving.triton.running_servers import add_server_options, find_servers, repository_of


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m serving.versions", description=__doc__)
    add_server_options(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    repository = repository_of(args)
    live, versions = repository.live(), repository.versions()
    for version in versions:
        mark = "live" if version == live else ""
        engine = f"{version.options.engine} {version.options.precision}"
        print(f"{version.number:4}  {version.bundle}  {version.published}  {engine:22}  {mark}".rstrip())
    if not versions:
        print(f"{repository.path} holds no published version; publish one with python -m serving.publish")
    for server in find_servers(args):
        loaded = ", ".join(map(str, server.ready_versions(TOKENISER))) or "none"
        print(f"server {server.address} has loaded: {loaded}")


if __name__ == "__main__":
    run(main)
