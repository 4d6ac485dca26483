"""A Triton server as a Python object:

    with TritonServer("model_repository", ports=Ports.free()) as server:
        server.wait_ready()
        ask(server.grpc_address)

However the process that started it ends, the server, its Python processes and their shared memory go with it; how,
is told in serving/process/guard.py.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import EnvironmentFault, InputError, ServerError
from pipeline.local_servers import default_state_dir
from pipeline.tensors import PROBE_VARIABLE
from serving.folders import PLAIN, TRITON, plain, private_folder
from serving.process import guard, processes
from serving.process.guarded_server import KILL_MARGIN_SECONDS, GuardedServer
from serving.process.ports import LOOPBACK, Ports, resolve_host
from serving.triton.admin_key import KEY_FILE, probe_secret, write_if_absent
from serving.triton.admin_key import server_arguments as admin_key_arguments
from serving.triton.configs.ensemble import COMPONENTS
from serving.triton.control import ServerControl
from serving.triton.front.process import FrontProcess, grpc_front, http_front
from serving.triton.front.running import FrontSettings
from serving.triton.server import log as server_log
from serving.triton.server.installation import STUB, TritonInstallation, find_triton
from serving.triton.server.options import TritonOptions

POLL_SECONDS = 0.05
OURS = ("--grpc-use-ssl", "--grpc-server-", "--grpc-root-cert", "--grpc-address", "--grpc-port")
"""Of tritonserver's arguments, those that concern callers."""
SOCKET_PATH_BYTES = 107
COLLECTOR_TIMEOUT = "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"


class TritonServer(GuardedServer):
    """A tritonserver process that lives as long as this object's `with` block, and never longer than its process.

    `ports` and `host` say where it listens, on loopback by default. Its output goes to `log_path` (default
    `triton-<grpc port>.log` in `state_dir`); the log of the start before is kept with `.1` added. `state_dir`
    (default `build/run`) takes the record by which `python -m serving.stop` finds it. `extra_arguments` are passed to
    tritonserver as they are; its working folder is `/`, so paths in them have to be absolute. With an `admin_key` only
    callers who show it may load models, register shared memory, or change tracing and logging. After `stop` it can be
    started again.
    """

    def __init__(
        self,
        model_repository: Path | str,
        ports: Ports | None = None,
        host: str = LOOPBACK,
        log_path: Path | str | None = None,
        state_dir: Path | str | None = None,
        options: TritonOptions | None = None,
        extra_arguments: Sequence[str] = (),
        admin_key: str = "",
    ) -> None:
        self.model_repository = Path(model_repository).resolve()
        self.ports = ports or Ports()
        self.host = resolve_host(host)
        self.options = options or TritonOptions()
        state_dir, name = Path(state_dir or default_state_dir()).resolve(), f"{TRITON}-{self.ports.grpc}"
        log_path = Path(log_path or state_dir / f"{name}.log").resolve()
        for word in extra_arguments:
            if word.startswith(OURS) and not self.options.direct_grpc:
                raise InputError(
                    f"{word} is not for what answers callers; give --tls_cert and the like, or --direct_grpc"
                )
        super().__init__(name, state_dir, log_path, self.options.exit_timeout_seconds + KILL_MARGIN_SECONDS)
        self.extra_arguments = tuple(extra_arguments)
        self._sockets = {
            way: private_folder() / f"{self.shared_memory_prefix}{way}" for way in ("http", "grpc", "alive")
        }
        self.control = ServerControl(self.http_address, admin_key, socket=str(self._sockets["http"]))
        self.fronts = self._make_fronts()
        self.key_is_hidden = False
        self._started = 0.0

    def _make_fronts(self) -> tuple[FrontProcess, ...]:
        """What answers callers: HTTP, and gRPC unless they reach Triton's own."""
        options = self.options
        closed = COMPONENTS if self.control.key else ()
        bounds = (options.request_bytes, closed, self.control.key)
        http = http_front(FrontSettings(self.http_host, self.ports.http, str(self._sockets["http"]), *bounds))
        if options.direct_grpc:
            return (http,)
        files = (
            str(path.resolve()) if path else "" for path in (options.tls_cert, options.tls_key, options.tls_client_ca)
        )
        upstream, alive = f"{self._sockets['grpc']}:0", str(self._sockets["alive"])
        return http, grpc_front(FrontSettings(self.host, self.ports.grpc, upstream, *bounds, alive, *files))

    @property
    def grpc_address(self) -> str:
        """`host:port` for clients on this machine."""
        return f"{_for_clients(self.host)}:{self.ports.grpc}"

    @property
    def http_address(self) -> str:
        """`host:port` for clients on this machine."""
        return f"{_for_clients(self.http_host)}:{self.ports.http}"

    @property
    def metrics_address(self) -> str:
        """`host:port` for clients on this machine."""
        return f"{_for_clients(self.host)}:{self.ports.metrics}"

    @property
    def http_host(self) -> str:
        """Where HTTP listens: Triton cannot encrypt it, so with TLS it stays on loopback."""
        return LOOPBACK if self.options.tls_cert else self.host

    def start(self) -> None:
        """Start the server; it loads its models after this returns.

        Raises InputError for a folder that is no model repository, EnvironmentFault where there is no tritonserver
        that runs here or where a port is taken.
        """
        self.require_stopped()
        if not self.model_repository.is_dir():
            raise InputError(f"model repository {self.model_repository} is no folder: publish a bundle into it first")
        if not self.options.complete_config and not any(self.model_repository.glob("*/config.pbtxt")):
            raise InputError(
                f"model repository {self.model_repository} holds no published model: run `make demo`, or "
                "`.venv/bin/python -m serving.publish --bundle ...`"
            )
        self._require_plain_names()
        installation = find_triton()
        self.ports.require_free(self.host)
        self._require_short_sockets()
        self._started = time.monotonic()
        environment = {
            COLLECTOR_TIMEOUT: "1s",  # a collector that never answers would hold up the end for half a minute
            **installation.environment,
            guard.KEY_VARIABLE: self.control.key,
            PROBE_VARIABLE: probe_secret(self.control.key),
        }
        self.launch(
            self.command(installation),
            environment,
            # Python backends have the working folder on their module path, where it would hide staged modules.
            "/",
            http_address=self.http_address,
            client_address=self.grpc_address,
            metrics_address=self.metrics_address,
            model_repository=str(self.model_repository),
        )
        for front in self.fronts:
            front.start()

    def stop(self, seconds: float | None = None) -> None:
        """As `GuardedServer.stop`; what answers callers ends with it."""
        try:
            super().stop(seconds)
        finally:
            for front in self.fronts:
                front.stop()
            self._remove_sockets()

    def _require_plain_names(self) -> None:
        """Names of models go through a shell, as paths do."""
        for folder in self.model_repository.iterdir():
            if not PLAIN.fullmatch(folder.name):
                raise InputError(f"{self.model_repository} holds {folder.name!r:.80}; name models by A-Z a-z 0-9 . _ -")

    def _keep_files(self) -> None:
        super()._keep_files()
        if self.control.key and not (self.state_dir / KEY_FILE).exists():
            write_if_absent(self.state_dir, self.control.key)

    def _remove_sockets(self) -> None:
        for socket in self._sockets.values():
            for path in socket.parent.glob(f"{socket.name}*"):
                path.unlink(missing_ok=True)

    def _require_short_sockets(self) -> None:
        self._remove_sockets()
        for socket in self._sockets.values():
            if len(f"{socket}:0") > SOCKET_PATH_BYTES:
                raise EnvironmentFault(f"{socket} is too long a path for a socket; set TMPDIR to a shorter one")

    def command(self, installation: TritonInstallation) -> list[str]:
        """The command line of the server itself."""
        arguments = [
            f"--model-repository={plain(self.model_repository)}",
            f"--backend-config=python,shm-region-prefix-name={self.shared_memory_prefix}",
            *self.options.arguments(),
        ]
        listening = {"metrics": (self.host, self.ports.metrics), "http": (f"unix:{self._sockets['http']}", 0)}
        grpc = (self.host, self.ports.grpc) if self.options.direct_grpc else (f"unix:{self._sockets['grpc']}", 0)
        for service, (address, port) in {**listening, "grpc": grpc}.items():
            arguments += [f"--{service}-address={address}", f"--{service}-port={port}"]
        if installation.backend_directory:
            arguments.append(f"--backend-directory={plain(installation.backend_directory)}")
        arguments.append("--metrics-config=summary_latencies=true")
        if self.control.key:
            # Other users may read a command line, so the guard puts the key in, and it is blotted out when it was read.
            arguments += admin_key_arguments(guard.KEY_PLACE)
        if not _has_gpu():
            arguments += ["--allow-gpu-metrics=false", "--pinned-memory-pool-byte-size=0"]
        return [str(installation.program), *arguments, *self.extra_arguments]

    def wait_ready(self, timeout_seconds: float = 60.0) -> float:
        """Wait until the server answers that all its models are loaded; the seconds since its start.

        Raises ServerError with each failing model's reason when it does not come up, EnvironmentFault when a port or
        a library is what it lacks.
        """
        deadline = time.monotonic() + timeout_seconds
        while not self._is_ready():
            status = self.status()
            if status is not None:
                how = f"did not come up (exit status {status})" if status else "was stopped before it was ready"
                raise self.failure(f"tritonserver {how}")
            for front in self.fronts:
                if not front.is_running():
                    self.stop()
                    raise EnvironmentFault(f"what answers {front.way} did not start; see above")
            if time.monotonic() > deadline:
                self.stop()
                raise self.failure(f"tritonserver was not ready after {timeout_seconds:g} s")
            time.sleep(POLL_SECONDS)
        if self.control.key:
            self.key_is_hidden = processes.blot_out(self.pid, self.control.key)
        return time.monotonic() - self._started

    def _is_ready(self) -> bool:
        """Ready, and it is this server that listens on all three ports, not another that came first."""
        ours = [self.pid, *(front.pid for front in self.fronts)]
        if not {self.ports.grpc, self.ports.http, self.ports.metrics} <= set().union(
            *map(processes.listening_ports, ours)
        ):
            return False
        return self.control.is_ready()

    def stubs(self) -> dict[int, tuple[str, str]]:
        """Model and version of each running Python-backend process, by its process id."""
        found = {}
        for pid in processes.children(self.pid):
            words = processes.command_line(pid)
            if len(words) > 1 and Path(words[0]).name == STUB:
                version = Path(words[1]).parent
                found[pid] = (version.parent.name, version.name)
        return found

    def failure(self, what: str) -> ServerError | EnvironmentFault:
        log = self.log()
        causes = server_log.reasons(log)
        text = "\n".join([what, *(f"  {cause}" for cause in causes[:10]), f"  its log: {self.log_path}"])
        lacking = server_log.PORT_TAKEN.search(log) or server_log.LACKING_LIBRARY.search(log)
        return EnvironmentFault(text) if lacking else ServerError(text)


def _for_clients(host: str) -> str:
    return LOOPBACK if host == "0.0.0.0" else host


def _has_gpu() -> bool:
    return any(Path(device).exists() for device in ("/dev/nvidiactl", "/dev/dxg"))
