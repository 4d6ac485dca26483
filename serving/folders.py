"""Where servers started from here keep their logs, records and derived files."""

from __future__ import annotations

from pathlib import Path


def build_dir() -> Path:
    """`build/` of the repository that this code lies in, or of the current folder where it is installed."""
    root = Path(__file__).resolve().parent.parent
    return (root if (root / "pyproject.toml").is_file() else Path.cwd()) / "build"


def default_state_dir() -> Path:
    """Folder of process records and logs."""
    return build_dir() / "run"
