"""Lets paddle find the CUDA libraries that were installed beside it: run by the Python of an environment.

paddlepaddle-gpu opens libcublas.so and the like by their bare names, and NVIDIA's packages hold libcublas.so.11, in
folders that nobody searches. The loader looks first beside the library that asks, so links are put there.
"""

import sysconfig
from pathlib import Path


def link(packages: Path) -> None:
    """Link each library in nvidia/*/lib into paddle/libs, by its own name and by its bare one, and no others."""
    folder = packages / "paddle" / "libs"
    for old in filter(Path.is_symlink, folder.glob("*.so*")):
        old.unlink()
    for library in packages.glob("nvidia/*/lib/*.so.*"):
        for name in (library.name, library.name.partition(".so")[0] + ".so"):
            (folder / name).symlink_to(Path("..", "..", library.relative_to(packages)))


if __name__ == "__main__":
    link(Path(sysconfig.get_path("purelib")))
