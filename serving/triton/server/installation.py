"""Find a `tritonserver` and say how to run it.

Looked for on PATH (NVIDIA's container, or an installation of one's own), then in the nvidia-pytriton wheel. The
wheel keeps the server, its Python backend and one stub program per Python version in places where the server does
not look for them, so a folder of links is made that it can take as its backend directory.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import platform
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import EnvironmentFault
from serving.folders import build_dir

MINIMUM_GLIBC = (2, 35)
STUB = "triton_python_backend_stub"
PYTHON_VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"


@dataclass(frozen=True)
class TritonInstallation:
    """The server's program, its backend directory (None: the server's own default), and its whole environment."""

    program: Path
    backend_directory: Path | None
    environment: Mapping[str, str]


def find_triton(cache_dir: Path | None = None) -> TritonInstallation:
    """The installation to use; `cache_dir` (default `build/triton`) takes the folder of links.

    Raises EnvironmentFault where there is none or where this machine cannot run it.
    """
    program = shutil.which("tritonserver")
    if program:
        return TritonInstallation(Path(program).resolve(), None, dict(os.environ))
    wheel = importlib.util.find_spec("pytriton")
    if wheel is None or wheel.origin is None:
        raise EnvironmentFault(
            "no tritonserver on PATH and no nvidia-pytriton in this Python "
            f"({sys.executable}): run `make serve`, which installs it, or `pip install nvidia-pytriton==0.7.0` "
            f"(it exists for Linux on x86-64 with glibc {_dotted(MINIMUM_GLIBC)} or newer; this is "
            f"{platform.system()} on {platform.machine()}), or run in NVIDIA's Triton container"
        )
    return _in_wheel(Path(wheel.origin).parent / "tritonserver", cache_dir or build_dir() / "triton")


def _in_wheel(folder: Path, cache_dir: Path) -> TritonInstallation:
    _require_glibc()
    program = folder / "bin" / "tritonserver"
    stub = folder / "python_backend_stubs" / PYTHON_VERSION / STUB
    if not program.is_file():
        raise EnvironmentFault(f"{program} is missing: install nvidia-pytriton again")
    _require_same_processor(program)
    if not stub.is_file():
        offered = ", ".join(sorted((path.parent.name for path in stub.parent.parent.glob(f"*/{STUB}")), key=_parts))
        raise EnvironmentFault(
            f"nvidia-pytriton has no Python backend for Python {PYTHON_VERSION}, only for {offered or 'none'}: "
            "make the environment with one of these"
        )
    libraries = [folder.parent.parent / "nvidia_pytriton.libs", _libpython_folder()]
    paths = [str(path) for path in libraries if path] + _entries("LD_LIBRARY_PATH")
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": os.pathsep.join(paths),
        # The backend's Python looks for python3 on PATH to find the environment that it belongs to.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), *_entries("PATH")]),
    }
    return TritonInstallation(program, _link_backends(folder, stub, cache_dir), environment)


def _link_backends(folder: Path, stub: Path, cache_dir: Path) -> Path:
    """A folder `python/` of links to the Python backend's files with the stub among them; its parent."""
    links = {path.name: path for path in (folder / "backends" / "python").iterdir() if path.name != "__pycache__"}
    links[stub.name] = stub
    key = hashlib.sha256("\n".join(sorted(map(str, links.values()))).encode()).hexdigest()[:12]
    backends = cache_dir / f"backends-{key}"
    if all((backends / "python" / name).exists() for name in links):
        return backends
    cache_dir.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".backends-", dir=cache_dir))
    (draft / "python").mkdir()
    for name, target in links.items():
        (draft / "python" / name).symlink_to(target)
    shutil.rmtree(backends, ignore_errors=True)
    try:
        draft.rename(backends)
    except OSError:
        # Another process made the same folder in between.
        shutil.rmtree(draft, ignore_errors=True)
    return backends


def _require_glibc() -> None:
    name, version = platform.libc_ver()
    if name != "glibc" or _parts(version) < MINIMUM_GLIBC:
        raise EnvironmentFault(
            f"Triton needs glibc {_dotted(MINIMUM_GLIBC)} or newer, this machine has {name or 'another C library'} "
            f"{version}: use a newer system (Ubuntu 22.04, Debian 12 or later) or NVIDIA's Triton container"
        )


def _require_same_processor(program: Path) -> None:
    """Compare the machine field of the two ELF headers: this Python's and the server's."""

    def machine(path: str | Path) -> bytes:
        with open(path, "rb") as file:
            return file.read(20)[18:20]

    if machine(program) != machine(sys.executable):
        raise EnvironmentFault(
            f"{program} was built for another processor than this {platform.machine()} machine has: "
            "install nvidia-pytriton for it, or run in NVIDIA's Triton container"
        )


def _libpython_folder() -> Path | None:
    """Where the shared library lies that the stub runs Python from; None where the loader finds it by itself."""
    name = f"libpython{PYTHON_VERSION}.so.1.0"
    candidates = [sysconfig.get_config_var("LIBDIR"), Path(sys.base_prefix) / "lib", Path(sys.base_prefix) / "lib64"]
    for folder in filter(None, candidates):
        if (Path(folder) / name).is_file():
            return Path(folder)
    try:
        ctypes.CDLL(name)
    except OSError:
        raise EnvironmentFault(
            f"Triton's Python backend needs {name}, and {sys.executable} comes without it: install it "
            f"(Debian, Ubuntu: apt-get install libpython{PYTHON_VERSION}; Fedora: python{PYTHON_VERSION}-libs), or "
            "make the environment with a Python that has it (`uv python install`, or one built with --enable-shared)"
        ) from None
    return None


def _entries(variable: str) -> list[str]:
    return [entry for entry in os.environ.get(variable, "").split(os.pathsep) if entry]


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
