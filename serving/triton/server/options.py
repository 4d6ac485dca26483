"""How a Triton server behaves, as its flags say it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.options import Options, option

NONE, EXPLICIT, POLL = MODEL_CONTROL_MODES = ("none", "explicit", "poll")


def control_mode(default: str) -> Any:
    """The option --model_control_mode, with this default."""
    return option(
        default,
        "explicit: load all models at the start, and others when a bundle is published; none: load them once; poll: "
        "follow changes in the folder",
        choices=MODEL_CONTROL_MODES,
    )


@dataclass(frozen=True)
class TritonOptions(Options):
    """How the server behaves.

    Our model configurations are complete, and with `complete_config` a Python-backend model would start its process
    twice. HTTP is not encrypted: with `tls_cert` it stays on loopback, for a proxy before it.

    Raises:
        InputError: as `Options`, options contradict each other, or a file is missing.
    """

    model_control_mode: str = control_mode(NONE)
    load_model: tuple[str, ...] = option(
        (), "model that --model_control_mode explicit loads at the start; repeatable", metavar="NAME", repeated=True
    )
    repository_poll_seconds: int = option(
        15, "seconds between two looks at the folder in --model_control_mode poll", at_least=1
    )
    exit_timeout_seconds: int = option(
        30, "seconds that accepted requests have to finish when the server stops", at_least=1
    )
    request_bytes: int = option(16 << 20, "bytes that a request may have, unpacked", at_least=1024)
    direct_grpc: bool = option(
        False, "let callers reach Triton's own gRPC, which costs less and which a caller can end: for those you trust"
    )
    complete_config: bool = option(False, "let the server fill in incomplete configurations of other models")
    tls_cert: Path | None = option(
        None, "PEM file: encrypt gRPC with this certificate; HTTP then stays on loopback", metavar="FILE"
    )
    tls_key: Path | None = option(None, "PEM file: the private key of --tls_cert", metavar="FILE")
    tls_client_ca: Path | None = option(
        None, "PEM file: serve callers alone that have a certificate of this authority", metavar="FILE"
    )
    trace_endpoint: str | None = option(
        None, "where OpenTelemetry traces are sent, such as http://127.0.0.1:4318/v1/traces", metavar="URL"
    )
    trace_one_in: int = option(100, "requests of which one is traced", at_least=1)

    def check(self) -> None:
        if self.load_model and self.model_control_mode != EXPLICIT:
            raise InputError(
                f"--load_model is {', '.join(self.load_model)}: only --model_control_mode explicit takes a choice, "
                f"{self.model_control_mode} loads all"
            )
        files = [self.tls_cert, self.tls_key, self.tls_client_ca]
        if any(files) and not all(files[:2]):
            raise InputError("TLS needs the server's certificate and its private key: give --tls_cert and --tls_key")
        for path in filter(None, files):
            if not path.is_file():
                raise InputError(f"there is no file {path}; TLS needs the server's certificate and key in PEM files")
        if self.trace_endpoint is not None and not self.trace_endpoint.startswith(("http://", "https://")):
            raise InputError(
                f"--trace_endpoint is {self.trace_endpoint!r}; give a URL such as http://127.0.0.1:4318/v1/traces"
            )

    def arguments(self) -> list[str]:
        """The server's arguments for these options."""
        arguments = [
            f"--model-control-mode={self.model_control_mode}",
            f"--exit-timeout-secs={self.exit_timeout_seconds}",
            *(f"--load-model={name}" for name in self.load_model),
        ]
        if self.model_control_mode == POLL:
            arguments.append(f"--repository-poll-secs={self.repository_poll_seconds}")
        if not self.complete_config:
            arguments.append("--disable-auto-complete-config")
        return arguments + self._tls_arguments() + self._trace_arguments()

    def _tls_arguments(self) -> list[str]:
        if not (self.direct_grpc and self.tls_cert and self.tls_key):
            return []
        arguments = [
            "--grpc-use-ssl=true",
            f"--grpc-server-cert={self.tls_cert.resolve()}",
            f"--grpc-server-key={self.tls_key.resolve()}",
        ]
        if self.tls_client_ca:
            arguments += ["--grpc-use-ssl-mutual=true", f"--grpc-root-cert={self.tls_client_ca.resolve()}"]
        return arguments

    def _trace_arguments(self) -> list[str]:
        if self.trace_endpoint is None:
            return []
        settings = ("mode=opentelemetry", "level=TIMESTAMPS", f"rate={self.trace_one_in}", "count=-1")
        exporter = (f"opentelemetry,url={self.trace_endpoint}", "opentelemetry,resource=service.name=text-classifier")
        return [f"--trace-config={setting}" for setting in (*settings, *exporter)]
