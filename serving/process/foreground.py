"""What commands do that serve in the foreground."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import NoReturn


def hold(server: AbstractContextManager[object], serve: Callable[[], None]) -> None:
    """Run `serve` while the server runs; an interrupt, the usual way to end both, is no error.

    It is caught before the server is stopped, because its traceback may refer to an open connection, and Triton waits
    for its connections, half a minute by default, before it stops.
    """
    _interrupt_on_signals()
    with suppress(KeyboardInterrupt), server, suppress(KeyboardInterrupt):
        serve()


def _interrupt_on_signals() -> None:
    """Let SIGTERM and SIGHUP end the program as Ctrl-C does, except where they are ignored (nohup)."""

    def interrupt(number: int, frame: object) -> NoReturn:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, interrupt)
