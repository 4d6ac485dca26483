"""A Triton server with the supervisor that `python -m serving.triton` runs, in this process, and what it holds."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.memory import resident_bytes
from serving.process import processes
from serving.process.ports import Ports
from serving.triton.repository import ModelRepository
from serving.triton.server.launcher import TritonServer
from serving.triton.server.options import TritonOptions
from serving.triton.server.supervision import Supervisor


@contextmanager
def watched_server(repository: ModelRepository, state_dir: Path) -> Iterator[tuple[TritonServer, list[str]]]:
    """A ready server, and what its supervisor reports."""
    options = TritonOptions(model_control_mode="explicit", load_model=("*",))
    server = TritonServer(repository.path, ports=Ports.free(), state_dir=state_dir, options=options, admin_key="bench")
    reports: list[str] = []
    with server:
        print(f"ready after {server.wait_ready(120):.1f} s", file=sys.stderr)
        supervisor = Supervisor(server, reports.append, lambda line: None)
        thread = threading.Thread(target=supervisor.run)
        thread.start()
        try:
            yield server, reports
        finally:
            server.terminate()
            thread.join()


def resident_megabytes(server: TritonServer) -> float:
    """Of the server and its Python processes together, 10^6 bytes."""
    return sum(map(resident_bytes, [server.pid, *processes.children(server.pid)])) / 1e6
