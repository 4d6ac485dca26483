"""Serve a model repository with Triton, in the foreground, until Ctrl-C, SIGTERM or `python -m serving.stop`.

What follows -- is passed on to tritonserver; `tritonserver --help` lists it.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.command import run
from pipeline.options import parse
from serving.triton.serve import ServeOptions, serve


def parse_args(argv: Sequence[str] | None) -> ServeOptions:
    return parse(ServeOptions, argv, __doc__, prog="python -m serving.triton")


def main(argv: Sequence[str] | None = None) -> None:
    serve(parse_args(argv))


if __name__ == "__main__":
    run(main)
