"""The servers that were started from a checkout, by the notes that their launchers leave in its `build/run`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.records import read_json

SUFFIX = ".process.json"
PROJECT = Path(__file__).resolve().parent.parent


def build_dir() -> Path:
    """`build/` of this checkout, or of the current folder where this code was installed without one."""
    return (PROJECT if is_checkout() else Path.cwd()) / "build"


def default_state_dir() -> Path:
    """Folder of process records and logs."""
    return build_dir() / "run"


def is_checkout() -> bool:
    """Whether this code lies in a checkout, from which servers can be started."""
    return (PROJECT / "pyproject.toml").is_file()


def identity(pid: int) -> str | None:
    """What tells process `pid` from a later one with the same number: boot and start time; None once it ended."""
    try:
        fields = stat_fields(pid)
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, start_ticks = fields[0], fields[19]
    return None if state in "ZX" else f"{boot}:{start_ticks}"


def stat_fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on; the second may itself hold spaces and parentheses."""
    return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()


def running(kind: str, state_dir: Path) -> list[Mapping[str, Any]]:
    """The notes of the servers of a kind that run, out of a folder of records."""
    return list(filter(_runs, map(_note, sorted(state_dir.glob(f"{kind}-*{SUFFIX}")))))


def _note(path: Path) -> Mapping[str, Any]:
    try:
        note = read_json(path)
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _runs(note: Mapping[str, Any]) -> bool:
    pid = note.get("pid")
    return isinstance(pid, int) and identity(pid) == note.get("identity")
