"""The progress bar of the analysis commands."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm


def progress(*items: Any, **options: Any) -> tqdm:
    """A `tqdm` that shows itself on a terminal only, and is gone when it is full."""
    return tqdm(*items, leave=False, disable=not sys.stderr.isatty(), **options)
