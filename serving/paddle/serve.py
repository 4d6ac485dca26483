"""Serving a bundle with Paddle Serving, in the foreground."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline.options import Options, option
from serving.paddle.server import PORT, PaddlePorts, PaddleServer
from serving.paddle.supervision import PaddleSupervisor
from serving.process.foreground import hold
from serving.process.ports import LOOPBACK


@dataclass(frozen=True)
class ServeOptions(Options):
    """What to serve, and where to listen."""

    folder: Path | None = option(None, "folder that serving.publish wrote for Paddle Serving (build/paddle_serving)")
    host: str = option(LOOPBACK, "address to listen on; 0.0.0.0 for all of this machine")
    rpc_port: int = option(PaddlePorts.rpc, "port for RPC clients", **PORT)
    http_port: int = option(PaddlePorts.http, "port for HTTP clients", **PORT)
    ready_timeout_seconds: float = option(60.0, "seconds after which a server that is not ready is given up", above=0)
    check_seconds: float = option(5.0, "seconds between two checks with a golden text", above=0)
    state_dir: Path | None = option(None, "folder for logs and process record (build/run)")


def serve(options: ServeOptions) -> None:
    """Serve until the service is told to stop, and repair it meanwhile; an interrupt ends it without an error.

    Raises:
        InputError: nothing was published to the folder, or both ports are the same.
        EnvironmentFault: .venv-serving is not there, or a port is taken.
        ServerError: it does not come up, or cannot be repaired.
    """
    ports = PaddlePorts(options.rpc_port, options.http_port)
    server = PaddleServer(options.folder, ports, options.host, options.state_dir)
    hold(server, lambda: keep_answering(server, options))
    print("Paddle Serving stopped")


def keep_answering(server: PaddleServer, options: ServeOptions) -> None:
    """Wait until the service is ready, say so, and keep it answering until it is told to stop."""
    seconds = server.wait_ready(options.ready_timeout_seconds)
    print(
        f"Paddle Serving is ready after {seconds:.1f} s: RPC {server.rpc_address}, HTTP {server.http_address}; "
        f"log {server.log_path}",
        flush=True,
    )
    report = partial(print, "Paddle Serving:", file=sys.stderr, flush=True)
    PaddleSupervisor(server, report, options.check_seconds, options.ready_timeout_seconds).run()
