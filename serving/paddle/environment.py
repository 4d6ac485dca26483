"""The Python 3.9 that Paddle Serving runs in."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import EnvironmentFault
from serving.folders import PROJECT

ENVIRONMENT = PROJECT / ".venv-serving"
UV = PROJECT / ".tools" / "bin" / "uv"


def serving_python() -> Path:
    """The interpreter of .venv-serving.

    Raises:
        EnvironmentFault: it is not there.
    """
    python = ENVIRONMENT / "bin" / "python"
    if not (ENVIRONMENT / ".ready").exists():
        raise EnvironmentFault(f"{ENVIRONMENT} is not there: `make serve-paddle` or `make setup-paddle` prepares it")
    return python
