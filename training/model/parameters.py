"""Parameter files of paddle are pickles, and loading a pickle can run code. Before one is loaded, it is read here.

The unpickler admits numpy arrays and what they are made of, so that a file which asks for anything else is refused
before any of it is called.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from pipeline.errors import BundleError

PARAMETER_FILES = "*.pdparams"

_ADMITTED = {
    *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
    *(("numpy", name) for name in ("ndarray", "dtype")),
    ("_codecs", "encode"),
    ("collections", "OrderedDict"),
}


class _ArraysAlone(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ADMITTED:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, identity: Any) -> Any:
        raise pickle.UnpicklingError("it refers to something outside itself")


def check_parameters(folder: Path) -> None:
    """Refuse a folder with a parameter file that holds anything but arrays; loading it could run foreign code.

    Raises:
        BundleError: a file is damaged, or no file of parameters alone.
    """
    for path in sorted(folder.glob(PARAMETER_FILES)):
        try:
            with path.open("rb") as stream:
                _ArraysAlone(stream).load()
        except OSError as error:
            raise BundleError(f"cannot read {path}: {error.strerror}") from error
        except Exception as error:  # a hostile pickle can raise anything
            raise BundleError(
                f"{path} holds more than parameters, or is damaged ({error}); it was not loaded"
            ) from error
