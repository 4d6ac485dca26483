"""Where a command may write: never over what it reads, nor over a file of the dataset folder that it works on."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.errors import InputError
from training.data.dataset_folder import FILES


def check_outputs(outputs: Mapping[str, Path | None], inputs: Sequence[Path], folder: Path) -> None:
    """Refuse, before hours of work, paths that cannot be written, or whose content would be lost.

    Args:
        outputs: paths by option; None where the option is not given.
        inputs: files that are read.
        folder: a dataset folder, whose files are kept, be they read or not.

    Raises:
        InputError: a path is a folder or not in a folder that can be written, an input, a file of the dataset, or
            another output.
    """
    taken = {path.resolve(): str(path) for path in (*(folder / name for name in FILES), *inputs)}
    for called, path in outputs.items():
        if path is None:
            continue
        if path.is_dir():
            raise InputError(f"{called} {path} is a folder; give the path of a file")
        above = next(folder for folder in path.resolve().parents if folder.exists())
        if not above.is_dir() or not os.access(above, os.W_OK):
            raise InputError(f"{called} {path} cannot be written: {above} is no folder that you may write to")
        if path.resolve() in taken:
            raise InputError(f"{called} {path} would overwrite {taken[path.resolve()]}; give another path")
        taken[path.resolve()] = f"what {called} writes"
