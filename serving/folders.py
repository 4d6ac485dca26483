"""Where things lie: the published models, and the logs, records and derived files of servers started from here."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from pipeline.errors import EnvironmentFault

PROJECT = Path(__file__).resolve().parent.parent
MODEL_REPOSITORY = PROJECT / "model_repository"


def build_dir() -> Path:
    """`build/` of this checkout, or of the current folder where this code was installed without one."""
    return (PROJECT if (PROJECT / "pyproject.toml").is_file() else Path.cwd()) / "build"


def default_state_dir() -> Path:
    """Folder of process records and logs."""
    return build_dir() / "run"


def spaceless(path: Path) -> Path:
    """`path`, or a link to it where it contains white space.

    Triton's Python backend starts its processes by a command line that it does not quote.

    Raises:
        EnvironmentFault: the folder for links belongs to somebody else.
    """
    if not any(map(str.isspace, str(path))):
        return path
    folder = Path(tempfile.gettempdir()) / f"text-classifier-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise EnvironmentFault(f"{folder} belongs to somebody else: remove it, or use a path without spaces for {path}")
    link = folder / hashlib.sha256(str(path).encode()).hexdigest()[:16]
    if not link.is_symlink():
        link.symlink_to(path)
    return link
