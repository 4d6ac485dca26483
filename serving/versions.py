"""List the published versions, and what running servers have loaded: `python -m serving.versions`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.command import run
from pipeline.errors import ServerError
from pipeline.options import parse
from serving.servers import ServerOptions


def versions(options: ServerOptions) -> Iterator[str]:
    """Lines that tell of each server's folder: its versions, the live one, and who has loaded which.

    Raises:
        InputError, BundleError: a folder, or the record of the live version, cannot be read.
    """
    for each in options.deployments():
        yield f"{each.server}: {each.path}"
        live, known = each.live(), each.versions()
        for version in known:
            mark = "live" if version == live else ""
            engine = f"{version.options.engine} {version.options.precision_in_words}"
            line = f"{version.number:4}  {mark:4}  {version.bundle}  {version.published}  {engine:22}  {version.about}"
            yield line.rstrip()
        for number, reason in each.damaged().items():
            yield f"{number:4}        {reason}"
        if not known:
            yield "      nothing is published here; .venv/bin/python -m serving.publish does"
        for server in each.servers:
            try:
                loaded = f"has loaded: {each.loaded(server)}"
            except ServerError as error:
                loaded = f"does not answer: {error}"
            yield f"      server {server.address} {loaded}"


def parse_args(argv: Sequence[str] | None) -> ServerOptions:
    return parse(ServerOptions, argv, __doc__, prog="python -m serving.versions")


def main(argv: Sequence[str] | None = None) -> None:
    for line in versions(parse_args(argv)):
        print(line)


if __name__ == "__main__":
    run(main)
