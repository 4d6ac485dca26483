"""Parameters of a model from a file to its layers: nothing in the file is run, and nothing is left to chance.

Parameter files of paddle are pickles, and loading a pickle can run code. The unpickler here admits numpy arrays of
plain numbers and what they are made of; a file that asks for anything else is refused before any of it is called. What
is checked is what is used: no other reader opens the file.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import BundleError

WEIGHTS_FILE = "model_state.pdparams"
MODEL_CONFIG_FILES = ("config.json", "model_config.json")
"""The second is the name that older paddlenlp gave it."""
HUGGING_FACE_WEIGHTS_FILE = "model.safetensors"
SHARDS = "*.index.json"
"""Lists of several files of parameters, which are not read."""

_ADMITTED = {
    *((f"numpy.{core}.multiarray", name) for core in ("core", "_core") for name in ("_reconstruct", "scalar")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
    ("numpy", "ndarray"),
    ("_codecs", "encode"),
    ("collections", "OrderedDict"),
}
_NAMES_OF_PADDLE = "StructuredToParameterName@@"  # a table of names that paddle.save adds
_NAMED = 3  # in a message


class _ArraysAlone(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("numpy", "dtype"):
            return _plain_dtype
        if (module, name) in _ADMITTED:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, identity: Any) -> Any:
        raise pickle.UnpicklingError("it refers to something outside itself")


def _plain_dtype(code: str, align: bool = False, copy: bool = False) -> np.dtype:
    """A dtype of numbers. One with fields or objects reads memory by addresses that the file gives."""
    if not re.fullmatch("[<>=|]?[fiub][1248]", code):
        raise pickle.UnpicklingError(f"it holds values of type {code!r:.40}")
    return np.dtype(code, align, copy)


def read_parameters(folder: Path) -> dict[str, np.ndarray]:
    """The parameters in the folder's WEIGHTS_FILE, by name.

    Raises:
        BundleError: the file is missing, damaged, or holds anything but parameters; or the folder has others beside it.
    """
    path = folder / WEIGHTS_FILE
    for shards in sorted(folder.glob(SHARDS)):
        raise BundleError(f"{shards} speaks of parameters in several files; give a folder with {WEIGHTS_FILE} alone")
    try:
        with path.open("rb") as stream:
            content = _ArraysAlone(stream).load()
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}") from error
    except Exception as error:  # a hostile pickle can raise anything
        raise BundleError(f"{path} holds more than parameters, or is damaged ({error}); it was not loaded") from error
    if not isinstance(content, dict):
        raise BundleError(f"{path} holds {type(content).__name__}, and no table of parameters; it was not loaded")
    content.pop(_NAMES_OF_PADDLE, None)
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, np.ndarray) or value.dtype.kind != "f":
            what = f"{value.dtype} numbers" if isinstance(value, np.ndarray) else type(value).__name__
            raise BundleError(f"{path}: {name!r:.60} is no parameter but {what}; floating-point arrays are needed")
    return dict(content)


def set_parameters(layer: Any, parameters: Mapping[str, np.ndarray], source: Path) -> None:
    """Give a layer of paddle the parameters: each of its own has to be there in its shape, and none beyond.

    Raises:
        BundleError: there are others; the message names the first and calls them what `source` holds.
    """
    expected = {name: list(tensor.shape) for name, tensor in layer.state_dict().items()}
    shapes = {name: list(array.shape) for name, array in parameters.items()}
    faults = {
        "lacks": [name for name in expected if name not in shapes],
        "has too much": [name for name in shapes if name not in expected],
        "has in another shape": [
            f"{name} {shapes[name]} for {shape}"
            for name, shape in expected.items()
            if name in shapes and shapes[name] != shape
        ],
    }
    told = [
        f"it {what} {', '.join(names[:_NAMED])}" + f" and {len(names) - _NAMED} more" * (len(names) > _NAMED)
        for what, names in faults.items()
        if names
    ]
    if told:
        raise BundleError(
            f"{source} does not hold the parameters that the model's configuration asks for: {'; '.join(told)}"
        )
    layer.set_state_dict({name: array.astype(np.float32) for name, array in parameters.items()})


def part_of(parameters: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """Of a whole model's parameters those of its encoder, without the prefix; an encoder's alone have none."""
    if not any(name.startswith(prefix) for name in parameters):
        return dict(parameters)
    return {name.removeprefix(prefix): array for name, array in parameters.items() if name.startswith(prefix)}
