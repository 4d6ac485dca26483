"""What a model's process takes over from the server that started it, and must not keep."""

from __future__ import annotations

import os
import stat
from contextlib import suppress


def close_sockets() -> None:
    """Close the server's sockets, which Triton leaves open in a process that it starts while it serves.

    Kept, they would hold its ports after its end, and its callers' connections. A model's process has none of its own.
    """
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # one of them was that of the listing
            if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                os.close(int(name))
