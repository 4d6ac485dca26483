"""HTTP proxies that the environment names: gRPC would ask servers on this machine and network through them, too."""

from __future__ import annotations

import ipaddress
import os
import socket

VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy")
"""Those that gRPC reads, in its order."""


def channel_options(url: str) -> list[tuple[str, int]]:
    """Of a gRPC channel to `host:port`: past the proxy where the host is loopback or in a private network."""
    return [("grpc.enable_http_proxy", 0)] if proxy_variable() and is_near(url) else []


def proxy_variable() -> str:
    """The variable that names a proxy; empty where there is none."""
    return next((name for name in VARIABLES if os.environ.get(name)), "")


def is_near(url: str) -> bool:
    """Whether all addresses of the host in `host:port` are loopback, link-local or private."""
    host = url.rpartition(":")[0].strip("[]")
    try:
        found = [ipaddress.ip_address(host)]
    except ValueError:
        try:
            named = {str(entry[4][0]).partition("%")[0] for entry in socket.getaddrinfo(host, None)}
        except (OSError, UnicodeError):
            return False  # behind a proxy, names may be the proxy's to find
        found = [ipaddress.ip_address(each) for each in named]
    return all(each.is_private or each.is_loopback or each.is_link_local for each in found)
