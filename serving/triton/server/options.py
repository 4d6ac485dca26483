"""How a Triton server behaves, as its flags say it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError

MODEL_CONTROL_MODES = ("none", "explicit", "poll")


@dataclass(frozen=True)
class TlsFiles:
    """PEM files by which gRPC is encrypted: the server's certificate and private key; with `client_ca` only callers
    with a certificate of that authority are served.

    Raises:
        InputError: a file is missing, or the certificate stands without its key.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def __post_init__(self) -> None:
        for path in filter(None, (self.certificate, self.key, self.client_ca)):
            if not path.is_file():
                raise InputError(f"there is no file {path}; TLS needs the server's certificate and key in PEM files")

    @classmethod
    def of(cls, certificate: Path | None, key: Path | None, client_ca: Path | None) -> TlsFiles | None:
        """None where no file is named; raises InputError where some are missing."""
        if certificate is None and key is None and client_ca is None:
            return None
        if certificate is None or key is None:
            raise InputError("TLS needs the server's certificate and its private key: give --tls_cert and --tls_key")
        return cls(certificate, key, client_ca)

    def arguments(self) -> list[str]:
        """The server's arguments for these files."""
        arguments = [
            "--grpc-use-ssl=true",
            f"--grpc-server-cert={self.certificate.resolve()}",
            f"--grpc-server-key={self.key.resolve()}",
        ]
        if self.client_ca:
            arguments += ["--grpc-use-ssl-mutual=true", f"--grpc-root-cert={self.client_ca.resolve()}"]
        return arguments


@dataclass(frozen=True)
class Tracing:
    """Where traces of requests are sent by OpenTelemetry's protocol over HTTP, and of how many requests one.

    Raises:
        InputError: the endpoint is no URL, or the rate is below 1.
    """

    endpoint: str
    one_in: int = 100

    def __post_init__(self) -> None:
        if not self.endpoint.startswith(("http://", "https://")):
            raise InputError(f"trace endpoint {self.endpoint!r}: give a URL such as http://127.0.0.1:4318/v1/traces")
        if self.one_in < 1:
            raise InputError(f"one trace in {self.one_in} requests: give 1 or more")

    def arguments(self) -> list[str]:
        """The server's arguments for it."""
        settings = ("mode=opentelemetry", "level=TIMESTAMPS", f"rate={self.one_in}", "count=-1")
        exporter = (f"opentelemetry,url={self.endpoint}", "opentelemetry,resource=service.name=text-classifier")
        return [f"--trace-config={setting}" for setting in (*settings, *exporter)]


@dataclass(frozen=True)
class TritonOptions:
    """How the server behaves; each field is Triton's flag of the like name.

    `complete_config`: let the server fill in incomplete model configurations. Ours are complete, and without it
    a Python-backend model starts its process once instead of twice.
    `tls` encrypts gRPC; Triton's HTTP service cannot be encrypted and then stays on loopback, for a proxy before it.
    """

    model_control_mode: str = "none"
    load_models: tuple[str, ...] = ()
    repository_poll_seconds: int = 15
    exit_timeout_seconds: int = 30
    complete_config: bool = False
    tls: TlsFiles | None = None
    tracing: Tracing | None = None

    def __post_init__(self) -> None:
        if self.model_control_mode not in MODEL_CONTROL_MODES:
            raise InputError(
                f"model_control_mode {self.model_control_mode!r}: choose one of {', '.join(MODEL_CONTROL_MODES)}"
            )
        if self.load_models and self.model_control_mode != "explicit":
            raise InputError(
                f"load_models {', '.join(self.load_models)}: only model_control_mode explicit takes a choice, "
                f"{self.model_control_mode} loads all"
            )
        for name in ("repository_poll_seconds", "exit_timeout_seconds"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)}: give 1 or more")

    def arguments(self) -> list[str]:
        """The server's arguments for these options."""
        arguments = [
            f"--model-control-mode={self.model_control_mode}",
            f"--exit-timeout-secs={self.exit_timeout_seconds}",
            *(f"--load-model={name}" for name in self.load_models),
        ]
        if self.model_control_mode == "poll":
            arguments.append(f"--repository-poll-secs={self.repository_poll_seconds}")
        if not self.complete_config:
            arguments.append("--disable-auto-complete-config")
        for part in (self.tls, self.tracing):
            arguments += part.arguments() if part else []
        return arguments
