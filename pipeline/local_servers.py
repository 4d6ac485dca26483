"""The servers that were started from a checkout, by the notes that their launchers leave in its `build/run`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pipeline.errors import EnvironmentFault
from pipeline.records import from_fields, read_json

SUFFIX = ".process.json"
PROJECT = Path(__file__).resolve().parent.parent

Started = TypeVar("Started", bound="StartedServer")


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


@dataclass(frozen=True)
class StartedServer:
    """A process that ends its server, children included, on SIGTERM within `patience_seconds`.

    `identity` is what the function `identity` said at the start: a recycled process id does not match it.
    `http_address` says where the server can be asked, `client_address` where over gRPC or RPC, `metrics_address` where
    Triton tells its metrics, `model_repository` or `paddle_folder` from where it serves, and `version`, of a Paddle
    Serving service, what.
    """

    name: str
    pid: int
    identity: str
    patience_seconds: float
    shared_memory_prefix: str = ""
    http_address: str = ""
    client_address: str = ""
    metrics_address: str = ""
    model_repository: str = ""
    paddle_folder: str = ""
    version: str = "0"

    def is_running(self) -> bool:
        return bool(self.identity) and identity(self.pid) == self.identity

    @classmethod
    def read(cls: type[Started], path: Path) -> Started | None:
        """What is noted in a file; None where it is gone. Raises EnvironmentFault where it is damaged."""
        try:
            return from_fields(cls, read_json(path))
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            raise EnvironmentFault(
                f"{path} is damaged: whether its server runs cannot be told; end it where it does, and remove the file"
            ) from None

    @classmethod
    def running(cls: type[Started], state_dir: Path, kind: str = "") -> list[Started]:
        """Those that run, or those of a kind, by a folder of notes; raises EnvironmentFault where one is damaged."""
        notes = map(cls.read, sorted(state_dir.glob(f"{kind}-*{SUFFIX}" if kind else f"*{SUFFIX}")))
        return [note for note in notes if note and note.is_running()]
