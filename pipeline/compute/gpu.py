"""The GPU that is computed on: NVIDIA's driver, asked through its own library, and the packages that compute there.

    .venv/bin/python -m pipeline.compute.gpu

says which driver, cards and packages are here, or what is lacking and what to do. Nothing here computes, and a process
that has asked must not fork afterwards: CUDA does not live on in its children.
"""

from __future__ import annotations

import ctypes
import re
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, distributions, version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from pipeline.command import run
from pipeline.errors import EnvironmentFault
from pipeline.options import Options, option, parse

ONNXRUNTIME, PADDLE = "onnxruntime-gpu", "paddlepaddle-gpu"
CPU_PACKAGES = {ONNXRUNTIME: "onnxruntime", PADDLE: "paddlepaddle"}
"""What has the same modules, for CPUs: beside each other they overwrite each other's files."""
CUDA, DRIVER = (11, 8), "520.61.05"
"""Of the packages in requirements/gpu.txt, and the oldest driver that knows this CUDA."""
SET_UP = "make setup DEVICE=gpu"


class Kernels(NamedTuple):
    """The compute capabilities of the cards that a version of a package has code for, read from its libraries."""

    version: str
    least: tuple[int, int]
    most: tuple[int, int]


KERNELS = {ONNXRUNTIME: Kernels("1.18.1", (5, 2), (9, 0)), PADDLE: Kernels("2.6.2", (6, 1), (8, 9))}
"""onnxruntime's code for 8.0 is translated by the driver for 9.0; cuBLAS 11.8 and cuDNN 8.9 have their own for that."""
LIBRARIES = ("cudart", "cublasLt", "cublas", "nvrtc", "cudnn", "curand", "cufft")
"""Those that onnxruntime needs, each after what it needs itself."""
NO_DEVICE, OUT_OF_MEMORY, OTHER_VERSION = 100, 2, 803
"""Errors of the driver's library."""
CAPABILITY_MAJOR, CAPABILITY_MINOR = 75, 76
"""Numbers of attributes in the driver's library."""
LOADED_VERSION = Path("/proc/driver/nvidia/version")
FULL = re.compile(
    r"out of memory|failed to allocate memory|cuda(?:rt)? (?:failure|error)[ (:]*2\b|alloc_failed|resource ?exhausted"
)


class Card(NamedTuple):
    """A GPU, with its compute capability."""

    name: str
    capability: tuple[int, int]


class Memory(NamedTuple):
    """Of a GPU, in bytes; `free` is 0 where not even a program's own context has room."""

    free: int
    total: int


class Driver:
    """NVIDIA's driver, and the cards that this process may see (CUDA_VISIBLE_DEVICES).

    Attributes:
        name: its version; empty where the kernel does not tell.
        cuda: the newest CUDA that it knows.
        cards: by number, from 0.

    Raises:
        EnvironmentFault: there is none, it does not start, or it sees no card.
    """

    def __init__(self) -> None:
        self.name = loaded = _loaded_version()
        try:
            self._library = ctypes.CDLL("libcuda.so.1")
        except OSError:
            if loaded:
                raise EnvironmentFault(
                    f"NVIDIA's driver {loaded} runs on this machine, and its library libcuda.so.1 is not here: give "
                    "the container the GPU (docker run --gpus all, with its container toolkit), or choose device cpu"
                ) from None
            raise EnvironmentFault(
                f"there is no NVIDIA driver here: neither libcuda.so.1 nor {LOADED_VERSION}; install {DRIVER} or newer "
                "on a machine with an NVIDIA GPU, or choose device cpu"
            ) from None
        if status := self._library.cuInit(0):
            why = {
                NO_DEVICE: "sees no GPU; see CUDA_VISIBLE_DEVICES",
                OTHER_VERSION: "and its library are of different versions; start the machine again",
            }.get(status, f"does not start (its error {status}); see `dmesg`")
            raise EnvironmentFault(f"the NVIDIA driver {loaded or ''} {why}, or choose device cpu".replace("  ", " "))
        number = self._number("cuDriverGetVersion")
        self.cuda = number // 1000, number % 1000 // 10
        self.cards = [self._card(each) for each in range(self._number("cuDeviceGetCount"))]
        if not self.cards:
            raise EnvironmentFault(
                f"the NVIDIA driver {loaded} shows this program no GPU; see CUDA_VISIBLE_DEVICES, or choose device cpu"
            )

    def memory(self, number: int) -> Memory | None:
        """Of a card; None where the driver does not tell. Starts CUDA's context there, some 0.3 GB."""
        total, free, context = ctypes.c_size_t(), ctypes.c_size_t(), ctypes.c_void_p()
        if self._library.cuDeviceTotalMem_v2(ctypes.byref(total), number):
            return None
        status = self._library.cuDevicePrimaryCtxRetain(ctypes.byref(context), number)
        if status == OUT_OF_MEMORY:
            return Memory(0, total.value)
        if status or self._library.cuCtxPushCurrent_v2(context):
            return None
        status = self._library.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
        self._library.cuCtxPopCurrent_v2(ctypes.byref(context))
        return None if status else Memory(free.value, total.value)

    def _card(self, number: int) -> Card:
        name = ctypes.create_string_buffer(256)
        self._library.cuDeviceGetName(name, len(name), number)
        major, minor = (
            self._number("cuDeviceGetAttribute", each, number) for each in (CAPABILITY_MAJOR, CAPABILITY_MINOR)
        )
        return Card(name.value.decode(errors="replace"), (major, minor))

    def _number(self, function: str, *arguments: int) -> int:
        number = ctypes.c_int()
        if status := getattr(self._library, function)(ctypes.byref(number), *arguments):
            raise EnvironmentFault(f"the NVIDIA driver {self.name} answers {function} with its error {status}")
        return number.value


@lru_cache(maxsize=1)
def driver() -> Driver:
    """The driver, asked once in a process; raises EnvironmentFault as `Driver` does."""
    return Driver()


def fault(package: str, number: int = 0) -> str | None:
    """Why ONNXRUNTIME or PADDLE cannot compute on GPU `number`, and what to do; None if it can, as far as is known."""
    if why := mixed():
        return why
    kernels, have = KERNELS[package], _installed(package)
    if not have and _installed(CPU_PACKAGES[package]):
        return (
            f"{CPU_PACKAGES[package]} is installed, which is for CPUs alone: `{SET_UP}`, of .venv-serving "
            f"`{SET_UP.replace('setup', 'setup-paddle')}`, brings {package}; or choose device cpu"
        )
    try:
        found = driver()
    except EnvironmentFault as error:
        return str(error)
    if have == kernels.version and found.cuda < CUDA:
        return (
            f"the NVIDIA driver {found.name} knows CUDA {_dotted(found.cuda)}, and {package} {have} needs "
            f"{_dotted(CUDA)}: install driver {DRIVER} or newer, or choose device cpu"
        )
    return _card_fault(found, package, number)


def _card_fault(found: Driver, package: str, number: int) -> str | None:
    if number >= len(found.cards):
        return f"there is no GPU {number}: the driver shows {len(found.cards)}, numbered from 0"
    kernels, have, card = KERNELS[package], _installed(package), found.cards[number]
    if have == kernels.version and not kernels.least <= card.capability <= kernels.most:
        return (
            f"GPU {number} is {card.name} of compute capability {_dotted(card.capability)}, and {package} {have} "
            f"computes on {_dotted(kernels.least)} to {_dotted(kernels.most)}: take another GPU, a build of it for "
            "this one, or device cpu"
        )
    return None


def mixed() -> str | None:
    """What of the installed packages does not go together, and what to do; None if all do."""
    names = {str(each.metadata["Name"]).lower() for each in distributions()}
    for gpu, cpu in CPU_PACKAGES.items():
        if {gpu, cpu} <= names:
            return (
                f"{gpu} and {cpu} are both installed, and have the same files: `{SET_UP}` leaves the one that is needed"
            )
    others = sorted(name for name in names if re.fullmatch(r"nvidia-.*-cu\d+", name) and not name.endswith("-cu11"))
    if others and any(name.endswith("-cu11") for name in names):
        return (
            f"libraries of two CUDA versions are installed, {', '.join(others)} beside those of CUDA {_dotted(CUDA)}: "
            f"`{SET_UP}` leaves those that are needed"
        )
    return None


def load_libraries() -> None:
    """Load the CUDA libraries that were installed beside onnxruntime, which does not look for them there."""
    package = find_spec("nvidia")
    for folder in package.submodule_search_locations or () if package else ():
        for name in LIBRARIES:
            for library in sorted(Path(folder).glob(f"*/lib/lib{name}.so.*")):
                with suppress(OSError):  # whoever needs it says what is lacking
                    ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)


def full_card(error: object, number: int) -> str | None:
    """Where an error says that a card has no room: how much of it is used, and what to do; else None."""
    if not FULL.search(str(error).lower()):
        return None
    memory = None
    with suppress(EnvironmentFault):
        memory = driver().memory(number)
    used = (
        f": {_gb(memory.total - memory.free)} of {_gb(memory.total)} GB are used, {_gb(memory.free)} free"
        if memory
        else ""
    )
    return (
        f"GPU {number} has no room for the model{used}; end what else computes there (`nvidia-smi` lists it), take "
        "smaller batches or another GPU, or device cpu"
    )


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _loaded_version() -> str:
    """The version of the driver that the kernel runs; nothing where it does not tell."""
    try:
        found = re.search(r"Kernel Module\D*(?:x86_64\D*)?(\d+[\d.]+)", LOADED_VERSION.read_text(encoding="utf-8"))
    except OSError:
        return ""
    return found.group(1) if found else ""


def _dotted(numbers: tuple[int, int]) -> str:
    return "{}.{}".format(*numbers)


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f}"


@dataclass(frozen=True)
class AskedOptions(Options):
    """Who is to compute where."""

    package: str | None = option(None, "package that is to compute (all that are installed)", choices=tuple(KERNELS))
    device_id: tuple[int, ...] = option((0,), "which GPUs, from 0", at_least=0)


def fault_apart(package: str, numbers: Sequence[int]) -> str | None:
    """As `fault`, of several GPUs, asked by another process: this one may fork afterwards."""
    words = ["--package", package, "--device_id", *map(str, numbers)]
    command = [sys.executable, "-m", "pipeline.compute.gpu", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr.strip().rpartition("\n")[2].removeprefix("error: ") if done.returncode else None


def main(argv: Sequence[str] | None = None) -> None:
    options = parse(AskedOptions, argv, __doc__, prog="python -m pipeline.compute.gpu")
    for number in options.device_id if options.package else ():
        if why := fault(options.package or "", number):
            raise EnvironmentFault(why)
    found = driver()
    print(f"NVIDIA driver {found.name}, CUDA {_dotted(found.cuda)}")
    for number, card in enumerate(found.cards):
        memory = found.memory(number)
        room = f", {_gb(memory.free)} of {_gb(memory.total)} GB free" if memory else ""
        print(f"GPU {number}: {card.name}, compute capability {_dotted(card.capability)}{room}")
    packages = [options.package] if options.package else [each for each in KERNELS if _installed(each)]
    if not packages:
        raise EnvironmentFault(f"neither {ONNXRUNTIME} nor {PADDLE} is installed; `{SET_UP}` installs both")
    faults = [(package, number, fault(package, number)) for package in packages for number in options.device_id]
    for package, number, why in faults:
        print(f"{package} {_installed(package)} on GPU {number}: {why or 'computes there'}")
    unable = [why for _, _, why in faults if why]
    if len(unable) == len(faults):
        raise EnvironmentFault(unable[0])


if __name__ == "__main__":
    run(main)
