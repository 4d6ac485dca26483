"""Records in JSON that somebody else may have written: parsed within bounds, their fields held against a dataclass."""

from __future__ import annotations

import collections
import collections.abc
import dataclasses
import functools
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from pipeline.errors import InputError

MOST_BYTES, MOST_LEVELS, MOST_DIGITS = 1 << 26, 32, 20
"""Of a file, of lists and objects within each other, and of a whole number."""

Record = TypeVar("Record")
_SCALARS: Mapping[Any, tuple[tuple[type, ...], str]] = {
    str: ((str,), "a string"),
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
}


def read_json(path: Path) -> Any:
    """What a file holds.

    Raises:
        OSError: it cannot be read.
        ValueError: it is larger than MOST_BYTES, or as `parse_json` says.
    """
    with open(path, "rb") as stream:
        content = stream.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"the file is larger than {MOST_BYTES:,} bytes")
    return parse_json(content)


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object that a file of a model holds; raises InputError where it holds none."""
    try:
        value = read_json(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; take it from the model again") from None
    except ValueError as error:
        raise InputError(f"{path} is no JSON ({error}); take it from the model again") from None
    if not isinstance(value, dict):
        raise InputError(f"{path} must hold a JSON object, not {value!r:.40}")
    return value


def parse_json(content: bytes | str) -> Any:
    """The value that JSON in UTF-8 holds: every number is finite and of a common size, every string text.

    A key stands once in its object: what readers make of two is not the same.

    Raises:
        ValueError: it is no such JSON, or nested deeper than MOST_LEVELS.
    """
    too_deep = ValueError(f"lists and objects are nested deeper than {MOST_LEVELS}")
    try:
        value = json.loads(
            content, parse_constant=_refuse, parse_float=_finite, parse_int=_bounded, object_pairs_hook=unique_keys
        )
    except RecursionError:
        raise too_deep from None
    level = [value]
    for _ in range(MOST_LEVELS):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return value
    raise too_deep


def from_fields(kind: type[Record], values: Any) -> Record:
    """An instance of a dataclass from an object of JSON; a field that the dataclass lacks is passed over.

    A dataclass within it that has a `from_json` is read by that.

    Raises:
        InputError: no object, or a field that is missing or of another type; the message names the field.
    """
    if not isinstance(values, dict):
        raise InputError(f"a JSON object is needed, not {values!r:.40}")
    hints, given = _hints(kind), {}  # type: ignore[arg-type]
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        if field.name in values:
            given[field.name] = _converted(hints[field.name], values[field.name], field.name)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise InputError(f"{field.name} is missing")
    return kind(**given)


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _converted(hint: Any, value: Any, place: str) -> Any:
    if hint is Any:
        return value
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (dict, collections.abc.Mapping):
        if not isinstance(value, dict):
            raise InputError(f"{place} must be an object, not {value!r:.40}")
        return {key: _converted(inner[1], item, f"{place}.{key:.40}") for key, item in value.items()}
    if origin in (tuple, list):
        if not isinstance(value, list):
            raise InputError(f"{place} must be a list, not {value!r:.40}")
        return origin(_converted(inner[0], item, f"{place}[{number}]") for number, item in enumerate(value))
    if type(None) in inner:
        return None if value is None else _converted(Union[tuple(set(inner) - {type(None)})], value, place)
    if dataclasses.is_dataclass(hint):
        try:
            return hint.from_json(value) if hasattr(hint, "from_json") else from_fields(hint, value)  # type: ignore[arg-type]
        except (InputError, TypeError) as error:
            raise InputError(f"{place}: {error}") from None
    types, called = _SCALARS[hint]
    if not isinstance(value, types) or (isinstance(value, bool) and hint is not bool):
        raise InputError(f"{place} must be {called}, not {value!r:.40}")
    return value


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of JSON; raises ValueError where a key stands in it twice."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        counts = collections.Counter(key for key, _ in pairs)
        twice = next(key for key, count in counts.items() if count > 1)
        raise ValueError(f"an object has the key {twice!r:.40} twice; keep one")
    return fields


def _inside(value: Any) -> collections.abc.Iterable[Any]:
    """What a value holds, one level down; strings are looked at here."""
    if isinstance(value, dict):
        return (*value.keys(), *value.values())
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            where = f"half of a surrogate pair at character {error.start + 1}"
            raise ValueError(f"{value!r:.40} holds {where}; correct that character") from None
    return value if isinstance(value, list) else ()


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits:.40} is too large a number")
    return number


def _bounded(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"{digits:.40} is too large a number")
    return int(digits)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number")
