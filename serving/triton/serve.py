"""Serving a model repository with Triton, in the foreground."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pipeline.compute import gpu
from pipeline.errors import ClassifierError, EnvironmentFault
from pipeline.local_servers import default_state_dir
from pipeline.options import option
from serving.folders import MODEL_REPOSITORY
from serving.options import GPU
from serving.process.foreground import hold
from serving.process.ports import LOOPBACK, PORT, Ports
from serving.triton.admin_key import read_or_create
from serving.triton.options import PYTHON
from serving.triton.repository import ModelRepository
from serving.triton.server.launcher import TritonServer
from serving.triton.server.options import EXPLICIT, TritonOptions, control_mode
from serving.triton.server.supervision import Supervisor


@dataclass(frozen=True)
class ServeOptions(TritonOptions):
    """What to serve, where to listen, and how the server behaves."""

    model_control_mode: str = control_mode(EXPLICIT)
    model_repository: Path | None = option(None, "folder that holds the models (the project's model_repository)")
    host: str = option(LOOPBACK, "address to listen on; 0.0.0.0 for all of this machine")
    grpc_port: int = option(Ports.grpc, "port for gRPC clients", **PORT)
    http_port: int = option(Ports.http, "port for HTTP clients", **PORT)
    metrics_port: int = option(Ports.metrics, "port for Prometheus", **PORT)
    ready_timeout_seconds: float = option(60.0, "seconds after which a server that is not ready is given up", above=0)
    check_seconds: float = option(5.0, "seconds between two checks with a golden text", above=0)
    state_dir: Path | None = option(None, "folder for log, process record and admin key (build/run)")
    extra_arguments: tuple[str, ...] = option(
        (), "arguments for tritonserver itself", metavar="-- ARGUMENT", positional=True
    )


def serve(options: ServeOptions) -> None:
    """Serve until the server is told to stop, and repair it meanwhile; an interrupt ends it without an error.

    Raises:
        InputError: the folder is no model repository, or a port is given twice.
        EnvironmentFault: there is no tritonserver that runs here, a port is taken, or what is live needs a GPU that
            cannot be had.
        ServerError: it does not come up, or cannot be repaired.
    """
    state_dir, folder = options.state_dir or default_state_dir(), options.model_repository or MODEL_REPOSITORY
    require_gpus(folder)
    if options.model_control_mode == EXPLICIT and not options.load_model:
        options = replace(options, load_model=("*",))
    server = TritonServer(
        folder,
        ports=Ports(options.grpc_port, options.http_port, options.metrics_port),
        host=options.host,
        state_dir=state_dir,
        options=options,
        extra_arguments=options.extra_arguments,
        admin_key=read_or_create(state_dir),
    )
    hold(server, lambda: keep_answering(server, options))
    print("Triton stopped")


def require_gpus(folder: Path) -> None:
    """Raise EnvironmentFault where the live version is to compute on a GPU in Python processes that cannot."""
    live = None
    with suppress(ClassifierError):  # who serves it says what is wrong with it
        live = ModelRepository(folder).live()
    if live is None or (live.options.device, live.options.backend) != (GPU, PYTHON):
        return
    if why := gpu.fault_apart(gpu.ONNXRUNTIME, live.options.gpus):
        raise EnvironmentFault(f"version {live.number} is to compute on a GPU (publish with --device cpu): {why}")


def keep_answering(server: TritonServer, options: ServeOptions) -> None:
    """Wait until the server is ready, say so, and keep it answering until it is told to stop."""
    seconds = server.wait_ready(options.ready_timeout_seconds)
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
        partial(print, file=sys.stderr, flush=True),
        check_seconds=options.check_seconds,
        ready_seconds=options.ready_timeout_seconds,
    ).run()
