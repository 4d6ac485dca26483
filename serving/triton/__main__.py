"""Serve a model repository with Triton, in the foreground, until Ctrl-C, SIGTERM or `python -m serving.stop`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pipeline.command import run
from serving.folders import MODEL_REPOSITORY, default_state_dir
from serving.process.foreground import hold
from serving.process.ports import Ports
from serving.triton.admin_key import read_or_create
from serving.triton.server.launcher import LOOPBACK, TritonServer
from serving.triton.server.log import is_noteworthy
from serving.triton.server.options import MODEL_CONTROL_MODES, TlsFiles, Tracing, TritonOptions
from serving.triton.server.supervision import Supervisor

__all__ = ["Ports", "TritonOptions", "TritonServer", "main", "parse_args"]


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m serving.triton",
        description=__doc__,
        epilog="What follows -- is passed on to tritonserver; `tritonserver --help` lists it.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    ports, options = Ports(), TritonOptions()
    add = parser.add_argument
    add("--model_repository", type=Path, default=MODEL_REPOSITORY, help="folder that holds the models")
    add("--host", default=LOOPBACK, help="address to listen on; 0.0.0.0 for all of this machine")
    add("--grpc_port", type=int, default=ports.grpc, help="port for gRPC clients")
    add("--http_port", type=int, default=ports.http, help="port for HTTP clients")
    add("--metrics_port", type=int, default=ports.metrics, help="port for Prometheus")
    add(
        "--model_control_mode",
        choices=MODEL_CONTROL_MODES,
        default="explicit",
        help="explicit: load all models at the start, and others when a bundle is published; none: load them once; "
        "poll: follow changes in the folder",
    )
    add("--load_model", action="append", default=[], help="with explicit: load this model at the start; repeatable")
    add(
        "--exit_timeout_seconds",
        type=int,
        default=options.exit_timeout_seconds,
        help="how long accepted requests may take to finish at the end",
    )
    add("--ready_timeout_seconds", type=float, default=60.0, help="give up when it is not ready by then")
    add("--tls_cert", type=Path, help="PEM file: encrypt gRPC with this certificate; HTTP then stays on loopback")
    add("--tls_key", type=Path, help="PEM file: its private key")
    add("--tls_client_ca", type=Path, help="PEM file: serve callers alone that have a certificate of this authority")
    add("--trace_endpoint", help="send traces there by OpenTelemetry, such as http://127.0.0.1:4318/v1/traces")
    add("--trace_one_in", type=int, default=100, help="of so many requests one is traced")
    add("--check_seconds", type=float, default=5.0, help="how often a golden text is asked")
    add("--state_dir", type=Path, default=default_state_dir(), help="folder for log, process record and admin key")
    add("extra_arguments", nargs="*", metavar="-- ARGUMENT", default=[], help="for tritonserver itself")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_args(argv)
    explicit = args.model_control_mode == "explicit"
    server = TritonServer(
        args.model_repository,
        ports=Ports(args.grpc_port, args.http_port, args.metrics_port),
        host=args.host,
        state_dir=args.state_dir,
        options=TritonOptions(
            model_control_mode=args.model_control_mode,
            load_models=tuple(args.load_model) or (("*",) if explicit else ()),
            exit_timeout_seconds=args.exit_timeout_seconds,
            tls=TlsFiles.of(args.tls_cert, args.tls_key, args.tls_client_ca),
            tracing=Tracing(args.trace_endpoint, args.trace_one_in) if args.trace_endpoint else None,
        ),
        extra_arguments=args.extra_arguments,
        admin_key=read_or_create(args.state_dir),
    )
    hold(server, lambda: serve(server, args))
    print("Triton stopped")
    return 0


def serve(server: TritonServer, args: argparse.Namespace) -> None:
    """Wait until the server is ready, say so, and keep it answering until it is told to stop."""
    seconds = server.wait_ready(args.ready_timeout_seconds)
    print(
        f"Triton is ready after {seconds:.1f} s: gRPC {server.grpc_address}, HTTP {server.http_address}, "
        f"metrics {server.metrics_address}; log {server.log_path}",
        flush=True,
    )
    report = partial(print, "Triton:", file=sys.stderr, flush=True)
    if not server.key_is_hidden:
        report("this system forbids to blot the admin key out of tritonserver's command line: local users see it")
    Supervisor(
        server,
        report,
        show_if_noteworthy,
        check_seconds=args.check_seconds,
        ready_seconds=args.ready_timeout_seconds,
    ).run()


def show_if_noteworthy(line: str) -> None:
    if is_noteworthy(line):
        print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    run(main)
