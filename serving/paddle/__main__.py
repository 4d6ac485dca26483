"""Serve a bundle with Paddle Serving, in the foreground, until Ctrl-C, SIGTERM or `python -m serving.stop`."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.command import run
from pipeline.options import parse
from serving.paddle.serve import ServeOptions, serve


def parse_args(argv: Sequence[str] | None) -> ServeOptions:
    return parse(ServeOptions, argv, __doc__, prog="python -m serving.paddle")


def main(argv: Sequence[str] | None = None) -> None:
    serve(parse_args(argv))


if __name__ == "__main__":
    run(main)
