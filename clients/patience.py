"""How long a client waits for an answer, and how often it asks again."""

from __future__ import annotations

from pipeline.errors import InputError

TIMEOUT_SECONDS = 60.0
LONGEST_TIMEOUT_SECONDS = 1e9  # gRPC's clock overflows within a factor of ten
RETRIES = 4
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 5.0


def check_patience(timeout_seconds: float, retries: int) -> None:
    """Raise InputError for a time or a number of retries that no call can have."""
    if not 0 < timeout_seconds <= LONGEST_TIMEOUT_SECONDS:
        raise InputError(
            f"timeout_seconds is {timeout_seconds}; give more than 0 and at most {LONGEST_TIMEOUT_SECONDS:g}"
        )
    if retries < 0:
        raise InputError(f"retries is {retries}; give 0 or more")
