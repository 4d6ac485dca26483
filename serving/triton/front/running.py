"""What both processes have in common that answer callers: their settings, and how long they live."""

from __future__ import annotations

import hmac
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass

from serving.process.guard import allow_files

PARTING_SECONDS = 5.0
"""That answers under way have once the process is told to end."""
POLL_SECONDS = 0.5
PORT_STATUS = 3


@dataclass(frozen=True)
class FrontSettings:
    """Where to listen, and what for.

    Attributes:
        host, port: for callers.
        upstream: path of the Unix socket that Triton listens on.
        max_bytes: of a request, unpacked.
        closed: models that only those may ask who show the key; none where there is no key.
        key: the admin key.
        alive: path of a Unix socket, where answering needs more than a port tells.
        certificate, private_key, client_authority: PEM files, where what callers send is encrypted.
    """

    host: str
    port: int
    upstream: str
    max_bytes: int
    closed: tuple[str, ...]
    key: str
    alive: str = ""
    certificate: str = ""
    private_key: str = ""
    client_authority: str = ""

    def may_ask(self, model: str, key: str) -> bool:
        return not self.key or model not in self.closed or hmac.compare_digest(self.key.encode(), key.encode())


def run_front(way: str, start: Callable[[FrontSettings], Callable[[], None]]) -> int:
    """Answer callers until SIGTERM, or until the launcher is gone; its settings come as JSON on standard input.

    Args:
        way: what it answers, in words.
        start: begins to answer, and gives what ends it; raises OSError where the port cannot be had.
    """
    launcher = os.getppid()
    signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    settings = FrontSettings(**json.loads(sys.stdin.readline()))
    allow_files()
    try:
        end = start(settings)
    except OSError as error:
        print(f"error: {way} port {settings.port} on {settings.host} cannot be had ({error})", file=sys.stderr)
        return PORT_STATUS
    while os.getppid() == launcher and signal.sigtimedwait(signals, POLL_SECONDS) is None:
        pass
    end()
    return 0
