"""What the set-up needs of a machine, checked before anything is fetched: `python3 requirements/machine.py`.

Prints a Python that can make a virtual environment, or says all that is lacking and leaves with status 3. Runs on any
Python from 3.6 on, and imports nothing else: no environment is there yet.
"""

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import List, NamedTuple, Optional, Tuple

GLIBC = (2, 35)
DISK_GB = {
    "cpu": {".venv": 1.85, ".venv-serving": 0.95},
    "gpu": {".venv": 8.2, ".venv-serving": 6.5},
}
"""What each environment takes by device, and .tools; uv's cache holds the same bytes, if it is on this disk."""
MEMORY_GB = 1.0
OLDEST = (3, 8)
"""Of Pythons, for uv's package."""
GIGABYTE = 1e9
OS_RELEASE = Path("/etc/os-release")
PROJECT = Path(__file__).resolve().parent.parent
CAN_MAKE_ENVIRONMENTS = "import sys, venv, ensurepip; sys.exit(sys.version_info < {!r})".format(OLDEST)


class Machine(NamedTuple):
    """What is known of a machine; None where it does not tell, which is no fault.

    `cache` is the folder of uv's cache, and the room there, if that is another disk and the cache is new.
    """

    system: str
    architecture: str
    processor_flags: Optional[Tuple[str, ...]]
    glibc: Optional[Tuple[int, int]]
    disk_gb: float
    cache: Optional[Tuple[str, float]]
    memory_gb: Optional[float]


def this_machine(folder: Path = PROJECT, root: Path = Path("/")) -> Machine:
    """The machine that this runs on, with the room for environments in `folder`."""
    return Machine(
        platform.system(),
        platform.machine(),
        _processor_flags(_text(root / "proc/cpuinfo")),
        _glibc(),
        _free_gb(folder),
        _cache(folder),
        _memory_gb(root),
    )


def faults(machine: Machine, needed_gb: float) -> List[str]:
    """What a machine lacks, and what to do, a line each."""
    if (machine.system, machine.architecture) != ("Linux", "x86_64"):
        return [
            "this is {} on {}, and the servers exist for Linux on x86_64 alone: use such a machine, a virtual one, or "
            "WSL 2 on Windows".format(machine.system, machine.architecture)
        ]
    found = []
    if machine.processor_flags is not None and "avx" not in machine.processor_flags:
        found.append(
            "the processor lacks AVX, which paddle needs: use one from 2011 or later; in a virtual machine, let it "
            "see the host's (qemu: -cpu host)"
        )
    if machine.glibc is None or machine.glibc < GLIBC:
        have = "glibc {}.{}".format(*machine.glibc) if machine.glibc else "another C library than glibc"
        found.append(
            "the system has {}, and Triton needs glibc {}.{} or newer: Ubuntu 22.04, Debian 12, Fedora 36, RHEL 10 or "
            "later, or a container of one of them".format(have, *GLIBC)
        )
    if machine.disk_gb < needed_gb:
        found.append(
            "{:.1f} GB are free in {}, and the set-up takes {:.1f} GB: make room, or move this folder".format(
                machine.disk_gb, PROJECT, needed_gb
            )
        )
    if machine.cache and machine.cache[1] < needed_gb:
        found.append(
            "{1:.1f} GB are free in {0}, and what is fetched takes {2:.1f} GB there: make room, or name another folder "
            "with UV_CACHE_DIR".format(*machine.cache, needed_gb)
        )
    if machine.memory_gb is not None and machine.memory_gb < MEMORY_GB:
        found.append(
            "{:.1f} GB of memory are free, and training the sample takes {:.0f} GB: end other programs, or give the "
            "machine or container more".format(machine.memory_gb, MEMORY_GB)
        )
    return found


def needed_gb(folder: Path, device: str) -> float:
    """What the environments for a device take, those that are there already left out."""
    needed = 0.0
    for name, size in DISK_GB[device].items():
        there = (_text(folder / name / ".device").strip() or "cpu") if (folder / name / ".ready").exists() else None
        needed += max(0.0, size - (DISK_GB[there][name] if there in DISK_GB else 0.0))
    return needed


def python() -> Optional[str]:
    """A Python that can make virtual environments: this one, or else one on PATH or of pyenv."""
    if sys.version_info >= OLDEST and importlib.util.find_spec("ensurepip"):
        return sys.executable
    names = ["python3", *("python3.{}".format(minor) for minor in range(14, OLDEST[1] - 1, -1))]
    installed = sorted(map(str, Path.home().glob(".pyenv/versions/3.*/bin/python3")), reverse=True)
    for program in [*filter(None, map(shutil.which, names)), *installed]:
        with open(os.devnull, "w") as nothing:
            if subprocess.call([program, "-c", CAN_MAKE_ENVIRONMENTS], stdout=nothing, stderr=nothing) == 0:
                return program
    return None


def python_fault(release: str) -> str:
    """What to do where no Python can make a virtual environment."""
    return (
        "{} is Python {}, and none from {}.{} on that has venv and ensurepip is on PATH or of pyenv: install one "
        "({}), or name one (make PYTHON=/path/to/python3 ...)".format(
            sys.executable, platform.python_version(), *OLDEST, installation(release, "3") or "its package python3"
        )
    )


def installation(release: str, version: str) -> Optional[str]:
    """The command that installs a Python, such as 3 or 3.11, on the system with this os-release; None: unknown."""
    fields = dict(line.split("=", 1) for line in release.splitlines() if "=" in line)
    families = "{} {}".format(fields.get("ID", ""), fields.get("ID_LIKE", "")).replace('"', "").split()
    for family in families:
        if family == "debian":
            name = "python3-venv" if version == "3" else "python" + version
            return "apt-get install " + name if version == "3" or _apt_knows(name) else None
        if family in ("fedora", "rhel"):
            return "dnf install python" + version
        if family == "suse":
            return "zypper install python" + version.replace(".", "")
        if family == "arch":
            return "pacman -S python" if version == "3" else None
    return None


def _apt_knows(name: str) -> bool:
    try:
        with open(os.devnull, "w") as nothing:
            return "Package: " in subprocess.check_output(["apt-cache", "show", name], stderr=nothing).decode()
    except (OSError, subprocess.CalledProcessError):
        return False


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _processor_flags(cpuinfo: str) -> Optional[Tuple[str, ...]]:
    lines = [line for line in cpuinfo.splitlines() if line.startswith("flags")]
    return tuple(lines[0].partition(":")[2].split()) if lines else None


def _free_gb(folder: Path) -> float:
    return shutil.disk_usage(str(folder)).free / GIGABYTE


def _cache(folder: Path) -> Optional[Tuple[str, float]]:
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    cache = Path(os.environ.get("UV_CACHE_DIR") or home + "/uv")
    place = next(each for each in (cache, *cache.absolute().parents) if each.exists())
    filled = (cache / "archive-v0").exists()
    return None if filled or place.stat().st_dev == folder.stat().st_dev else (str(cache), _free_gb(place))


def _glibc() -> Optional[Tuple[int, int]]:
    try:
        name, version = str(os.confstr("CS_GNU_LIBC_VERSION")).split()
        major, minor = version.split(".")[:2]
        return (int(major), int(minor)) if name == "glibc" else None
    except (ValueError, OSError, AttributeError):
        return None


def _memory_gb(root: Path) -> Optional[float]:
    """What can be had of memory and swap, or what the container may have of it."""
    fields = dict(line.split(":", 1) for line in _text(root / "proc/meminfo").splitlines() if ":" in line)
    if "MemAvailable" not in fields:
        return None
    free = sum(int(fields[name].split()[0]) * 1024 for name in ("MemAvailable", "SwapFree") if name in fields)
    group = root / "sys/fs/cgroup"
    limits = [_text(group / name).strip() for name in ("memory.max", "memory/memory.limit_in_bytes")]
    return min([free, *(int(limit) for limit in limits if limit.isdigit())]) / GIGABYTE


def main() -> None:
    if os.environ.get("FORCE"):
        lacking = []
    else:
        lacking = faults(this_machine(), needed_gb(PROJECT, os.environ.get("DEVICE") or "cpu"))
    program = python()
    if program is None:
        lacking.append(python_fault(_text(OS_RELEASE)))
    for fault in lacking:
        print("error: {}".format(fault), file=sys.stderr)
    if lacking:
        if len(lacking) > (program is None):
            print("`make FORCE=1 ...` passes over all but a lacking Python", file=sys.stderr)
        sys.exit(3)
    print(program)


if __name__ == "__main__":
    main()
