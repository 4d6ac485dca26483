"""List the published versions, and what running servers have loaded: `python -m serving.versions`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.command import run
from pipeline.errors import ClassifierError, ServerError
from pipeline.options import parse
from pipeline.served import ServedModel
from serving.deployment import Deployment
from serving.servers import ServerOptions
from serving.strays import told

PEEK_SECONDS = 1.0


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
            yield f"{version.number:4}  {mark:4}  {version.bundle}  {version.published}  {engine}"
            if version.about:  # in a line of its own, as a terminal may have 80 columns
                yield f"            {version.about}"
        for number, reason in each.damaged().items():
            yield f"{number:4}        {reason}"
        if not known:
            yield "      nothing is published here; .venv/bin/python -m serving.publish does"
        for server in each.servers:
            yield f"      server {server.address} {_said(each, server)}"
        for line in told(each):
            yield f"      {line}"
    for each, server in options.usual():
        if server.address not in [one.address for one in each.servers] and (answers := _unknown(server)):
            yield answers


def _said(deployment: Deployment, server: Any) -> str:
    """What a server has loaded, by what it answers, and whose it is."""
    whose = "" if server.started_here else "; it was not started from here"
    model: ServedModel | None = None
    with contextlib.suppress(ServerError):
        model = server.model()
    answers = f"; answers by version {model.version}, bundle {model.bundle}" if model else ""
    try:
        loaded = f"has loaded: {deployment.loaded(server)}"
    except ServerError as error:
        loaded = f"does not {'tell what it has loaded' if model else 'answer'}: {error}"
    return loaded + answers + whose


def _unknown(server: Any) -> str:
    """What to say of a server that was not started from here, on the port where one would be; nothing without one."""
    try:
        model = server.model(PEEK_SECONDS)
    except ClassifierError:
        return ""
    return f"{server.address} was not started from here; it answers by {model}" if model else ""


def parse_args(argv: Sequence[str] | None) -> ServerOptions:
    return parse(ServerOptions, argv, __doc__, prog="python -m serving.versions")


def main(argv: Sequence[str] | None = None) -> None:
    for line in versions(parse_args(argv)):
        print(line)


if __name__ == "__main__":
    run(main)
