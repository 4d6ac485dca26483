"""TCP ports of servers."""

from __future__ import annotations

import contextlib
import errno
import random
import socket
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.errors import EnvironmentFault, InputError
from serving.process import processes

LOOPBACK = "127.0.0.1"
FREE_RANGE = (12_000, 32_000)
PORT: dict[str, Any] = {"at_least": 1, "at_most": 65535}
"""Bounds of an option."""


@dataclass(frozen=True)
class Ports:
    """gRPC, HTTP and metrics port, all different; Triton's usual ones by default."""

    grpc: int = 8001
    http: int = 8000
    metrics: int = 8002

    def __post_init__(self) -> None:
        for name, port in asdict(self).items():
            if not 1 <= port <= 65535:
                raise InputError(f"{name} port {port}: a port is a number from 1 to 65535")
        if len(set(asdict(self).values())) < 3:
            raise InputError(
                f"grpc port {self.grpc}, http port {self.http}, metrics port {self.metrics}: give each its own"
            )

    @classmethod
    def free(cls, host: str = LOOPBACK) -> Ports:
        """Three ports that nobody listened on a moment ago; who comes first still gets them.

        They lie below those that the system gives to outgoing connections, which come and go all the time.
        """
        return cls(*free_ports(3, host))

    def require_free(self, host: str) -> None:
        """Raise EnvironmentFault naming the first port that cannot be listened on, and who has it."""
        for name, port in asdict(self).items():
            require_free(name, host, port, f"{name.upper()}_PORT")


def free_ports(count: int, host: str = LOOPBACK) -> list[int]:
    """So many different ports of FREE_RANGE that nobody listened on a moment ago."""
    found: list[int] = []
    while len(found) < count:
        port = random.randint(*FREE_RANGE)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((host, port))
            found += [port] if port not in found else []
    return found


def require_free(name: str, host: str, port: int, variable: str) -> None:
    """Raise EnvironmentFault where a port cannot be listened on; it says why, who has it, and which variable of make
    names another."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise EnvironmentFault(_why_not(name, host, port, error, variable)) from None


def resolve_host(host: str) -> str:
    """The IPv4 address of `host`, a name or an address, which is what all three of Triton's services take."""
    try:
        return socket.gethostbyname(host)
    except (OSError, UnicodeError):
        raise InputError(f"host {host!r} is no IPv4 address and no name of one; try 127.0.0.1") from None


def _why_not(name: str, host: str, port: int, error: OSError, variable: str) -> str:
    if error.errno == errno.EADDRINUSE:
        pid = processes.listener(port)
        owner = processes.describe(pid) if pid else "a process of another user"
        return (
            f"{name} port {port} on {host} is taken by {owner}; end it (`make stop` where it was started here) "
            f"or choose another port ({variable}=, --{name}_port)"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return f"host {host} is no address of this machine; try 127.0.0.1, or 0.0.0.0 for all of them"
    if error.errno == errno.EACCES:
        return f"{name} port {port} on {host} is reserved for root; choose one from 1024 to 65535"
    return f"{name} port {port} on {host} cannot be listened on: {error.strerror}"
