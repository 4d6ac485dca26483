"""Rounds in which contestants take turns, and what the spread of their figures tells."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

OURS, ORIGIN = "ours", "origin"
"""This project's server, and the design of the original, which is the baseline."""
PAUSE_SECONDS = 0.5
"""Before a turn: the threads of a runtime go on looking for work for a while when a turn is over."""
NOISY_SPREAD = 0.2
"""Of a ratio's rounds, highest less lowest over the median: beyond it the machine was too noisy to tell."""


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, lowest and highest."""
    found = {"median": statistics.median(values), "lowest": min(values), "highest": max(values)}
    return {name: round(value, 3) for name, value in found.items()}
