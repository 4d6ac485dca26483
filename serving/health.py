"""Ask a server a golden text: `python -m serving.health` ends with 0 where it answers rightly, else with 4.

Triton itself says that it is ready even where every request fails, so this is what a readiness or liveness probe is
to call. A server that refuses for having too much to do is alive; `--ready` counts it as not ready.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence

from pipeline.command import run
from pipeline.errors import InputError, ServerError
from serving.folders import MODEL_REPOSITORY
from serving.triton.control import Refused, ServerControl
from serving.triton.repository import ModelRepository


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m serving.health", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--server", default="127.0.0.1:8000", metavar="HOST:PORT", help="HTTP address (%(default)s)")
    parser.add_argument("--model_repository", default=str(MODEL_REPOSITORY), help="what it serves (%(default)s)")
    parser.add_argument("--seconds", type=float, default=5.0, help="that it may take (%(default)s)")
    parser.add_argument("--ready", action="store_true", help="fail where it has too much to do")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    repository, server = ModelRepository(args.model_repository), ServerControl(args.server)
    if repository.live() is None:
        raise InputError(f"{args.model_repository} holds no published model; publish a bundle first")
    number = server.pinned_version()  # not what the folder says: it may have changed since without the server
    if number is None:
        raise ServerError(f"the server at {args.server} serves no ensemble that serving.publish wrote")
    version = repository.version(number)
    try:
        server.check([random.choice(version.expected)], seconds=args.seconds)
    except Refused as error:
        if args.ready:
            raise
        print(f"alive, with too much to do: {error}")
    else:
        print(f"version {version.number} (bundle {version.bundle}) answers")


if __name__ == "__main__":
    run(main)
