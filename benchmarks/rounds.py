"""Rounds in which contestants take turns, and what the spread of their figures tells."""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

OURS, ORIGIN = "ours", "origin"
"""This project's server, and the design of the original, which is the baseline."""
PAUSE_SECONDS = 0.5
"""Before a turn: the threads of a runtime go on looking for work for a while when a turn is over."""
NOISY_SPREAD = 0.2
"""Of a ratio's rounds, highest less lowest over the median: beyond it the machine was too noisy to tell."""
BOUNDED = re.compile(r"share_of_(limit|in_process_c\d)")


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, lowest and highest."""
    found = {"median": statistics.median(values), "lowest": min(values), "highest": max(values)}
    return {name: round(value, 3) for name, value in found.items()}


def noisy(summary: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The figures whose rounds lie too far apart to tell."""
    return [name for name, figure in summary.items() if figure.get("noisy")]


def impossible(summary: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The shares of what cannot be surpassed that are above 1: the two were not measured under the same conditions.

    What is computed in process by as many texts at once as requests are under way can be surpassed.
    """
    return [name for name, figure in summary.items() if BOUNDED.search(name) and figure["median"] > 1]
