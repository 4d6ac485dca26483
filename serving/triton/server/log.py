"""What a Triton server's log says: warnings worth showing, and why it did not come up."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import BinaryIO

LINE = re.compile(r"(?P<level>[IWEF])\d{4} \d\d:\d\d:\d\d\.\d+\s+\d+ \S+?:\d+\] +(?P<message>.*)")
FAILED_MODEL = re.compile(r"failed to load '(?P<model>[^']+)' version \d+: (?P<reason>.+)", re.DOTALL)
UNREADABLE_MODEL = re.compile(r"Poll failed for model directory '(?P<model>[^']+)': (?P<reason>.+)", re.DOTALL)
FAILED_ENSEMBLE = re.compile(r"(?P<reason>.*ensemble '(?P<model>[^']+)' .+)", re.DOTALL)
MISSING_BACKEND = re.compile(r"unable to find backend library for backend '([^']+)'")
PLAIN_REASONS = (  # of lines that do not come from Triton's own logger
    re.compile(r"Error parsing text-format inference\.ModelConfig: .+"),
    re.compile(r"error: creating server: .+"),
    re.compile(r"error: .+: .+"),
    re.compile(r".*: unrecognized option .+"),
    re.compile(r".*error while loading shared libraries: .+"),
    re.compile(r".*version `GLIBC\w*_[\d.]+' not found.*"),
)
LACKING_LIBRARY = re.compile(r"error while loading shared libraries|version `GLIBC")
PORT_TAKEN = re.compile(r"failed to start (\w+) service: .*Socket '([^']+)' already in use")
NO_GPU = (
    "CudaDriverHelper has not been initialized",
    "Unable to allocate pinned system memory",
    "DCGM unable to start",
    "failed to allocate pinned system memory",
    "unable to create stream for",
)
FAILED_LEVELS = ("E", "F")


def parse(line: str) -> tuple[str, str]:
    """Level (I, W, E, F; empty for a line of another program) and message, unquoted and unescaped."""
    match = LINE.match(line)
    if not match:
        return "", line.rstrip("\n")
    message = match["message"].strip()
    if len(message) > 1 and message[0] == message[-1] == '"':
        message = re.sub(r"\\(.)", lambda escape: {"n": "\n", "t": "\t"}.get(escape[1], escape[1]), message[1:-1])
    return match["level"], message


def is_noteworthy(line: str) -> bool:
    """Whether a person at the terminal should see this line: a warning or an error, but not that of a missing GPU."""
    level, message = parse(line)
    return level in ("W", *FAILED_LEVELS) and not message.startswith(NO_GPU)


def reasons(log: str) -> list[str]:
    """Why the server that wrote `log` did not come up, a short text per cause, most specific first."""
    models: dict[str, str] = {}
    others: list[str] = []
    for line in log.splitlines():
        level, message = parse(line)
        if level in FAILED_LEVELS:
            match = FAILED_MODEL.match(message) or UNREADABLE_MODEL.match(message) or FAILED_ENSEMBLE.match(message)
            if match:
                models.setdefault(match["model"], f"model '{match['model']}': {_shortened(match['reason'])}")
            elif not message.startswith((*NO_GPU, "ERROR: Failed to create instance", "UNKNOWN:")):
                others.append(_shortened(message))
        elif not level:
            others += [match[0].strip() for match in (pattern.search(line) for pattern in PLAIN_REASONS) if match][:1]
    if models:
        others = [reason for reason in others if "failed to load all models" not in reason]
    return list(dict.fromkeys([*models.values(), *others]))


def _shortened(reason: str) -> str:
    """A Python error as `ValueError: what (model.py(3): initialize)`; Triton writes its frames below it."""
    if missing := MISSING_BACKEND.search(reason):
        return (
            f"this tritonserver has no backend {missing[1]!r}; the one of nvidia-pytriton has none but python: publish "
            "with --backend python, or serve in NVIDIA's container"
        )
    what, _, frames = reason.partition("\n\nAt:\n")
    what = what.strip()
    if what.startswith("Internal: "):
        what = what[len("Internal: ") :]
    if what.endswith("is not healthy."):
        what += " Its Python process ended while it loaded; look in the log for what it printed."
    first = frames.strip().splitlines()
    return f"{what} ({first[0].strip()})" if first else what


class LogFollower:
    """Reads what was added to a log since the last time, whether it is put aside, cut or removed meanwhile."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None

    def new_lines(self) -> list[str]:
        """The complete lines since the last call."""
        lines = self._rest()
        with contextlib.suppress(OSError):
            if self._file is None or not os.path.samestat(self.path.stat(), os.fstat(self._file.fileno())):
                following = self.path.open("rb")
                if self._file:
                    self._file.close()
                self._file = following
                lines += self._rest()
        return lines

    def _rest(self) -> list[str]:
        if self._file is None:
            return []
        start = self._file.tell()
        if os.fstat(self._file.fileno()).st_size < start:
            start = self._file.seek(0)
        text, newline, _ = self._file.read().rpartition(b"\n")
        self._file.seek(start + len(text) + len(newline))
        return text.decode(errors="replace").splitlines()
