"""Serve a bundle with Paddle Serving, in the foreground, until Ctrl-C, SIGTERM or `python -m serving.stop`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pipeline.command import run
from serving.folders import default_state_dir
from serving.paddle.publication import default_folder
from serving.paddle.server import LOOPBACK, PaddlePorts, PaddleServer, PaddleSupervisor
from serving.process.foreground import hold


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    ports = PaddlePorts()
    parser = argparse.ArgumentParser(
        prog="python -m serving.paddle", description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add("--folder", type=Path, default=default_folder(), help="what serving.paddle.publication wrote")
    add("--host", default=LOOPBACK, help="address to listen on; 0.0.0.0 for all of this machine")
    add("--rpc_port", type=int, default=ports.rpc, help="port for RPC clients")
    add("--http_port", type=int, default=ports.http, help="port for HTTP clients")
    add("--ready_timeout_seconds", type=float, default=60.0, help="give up when it is not ready by then")
    add("--check_seconds", type=float, default=5.0, help="how often a golden text is asked")
    add("--state_dir", type=Path, default=default_state_dir(), help="folder for logs and process record")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    server = PaddleServer(args.folder, PaddlePorts(args.rpc_port, args.http_port), args.host, args.state_dir)
    hold(server, lambda: serve(server, args))
    print("Paddle Serving stopped")
    return 0


def serve(server: PaddleServer, args: argparse.Namespace) -> None:
    """Wait until the service is ready, say so, and keep it answering until it is told to stop."""
    seconds = server.wait_ready(args.ready_timeout_seconds)
    print(
        f"Paddle Serving is ready after {seconds:.1f} s: RPC {server.rpc_address}, HTTP {server.http_address}; "
        f"log {server.log_path}",
        flush=True,
    )
    report = partial(print, "Paddle Serving:", file=sys.stderr, flush=True)
    PaddleSupervisor(server, report, args.check_seconds, args.ready_timeout_seconds).run()


if __name__ == "__main__":
    run(main)
