"""What one request may choose: of the decoding a threshold for all labels, the policy and how many labels, or a
promise; and whether it is told why."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Callable

from pipeline.errors import InputError
from pipeline.labels.decoding import Decoder
from pipeline.tensors import EXPLAIN, POLICY, PROMISE, THRESHOLD, TOP_K

REMEMBERED_CHOICES, MOST_PARAMETERS = 64, 64


class DecoderChoice:
    """The bundle's decoder, and what requests make of it.

    Args:
        decoder: what decodes where a request chooses nothing.
    """

    def __init__(self, decoder: Decoder) -> None:
        self.default = decoder
        self._chosen: dict[tuple[Any, ...], Decoder] = {}

    def __call__(self, parameters: Mapping[str, Any]) -> Decoder:
        """The decoder for a request's parameters; equal choices get the same one. Other parameters are ignored.

        Numbers may be given as text, because not every client can send them otherwise.

        Raises:
            InputError: a value that cannot be used, or a name that was probably meant to be one of these.
        """
        if len(parameters) > MOST_PARAMETERS:
            raise InputError(f"the request has {len(parameters)} parameters; give at most {MOST_PARAMETERS}")
        for name in parameters:
            if name not in _KNOWN and (meant := difflib.get_close_matches(name, _KNOWN, 1, 0.8)):
                raise InputError(f"unknown request parameter {name!r:.60}; did you mean {meant[0]!r}?")
        choice = {name: read(name, parameters[name]) for name, read in _READERS.items() if name in parameters}
        if not choice:
            return self.default
        key = tuple(sorted(choice.items()))
        if key not in self._chosen:
            if len(self._chosen) >= REMEMBERED_CHOICES:
                self._chosen.clear()
            self._chosen[key] = self._made(choice)
        return self._chosen[key]

    def _made(self, choice: dict[str, Any]) -> Decoder:
        if PROMISE not in choice:
            return self.default.changed(**choice)
        if others := sorted(set(choice) - {PROMISE}):
            raise InputError(f"request parameter promise has cut-offs of its own; leave out {' and '.join(others)}")
        return self.default.promising(choice[PROMISE])


def explains(parameters: Mapping[str, Any]) -> bool:
    """Whether a request with these parameters asks why; raises InputError for what says neither yes nor no."""
    value = parameters.get(EXPLAIN, False)
    said = _YES_OR_NO.get(str(value).lower()) if isinstance(value, (bool, int, str)) else None
    if said is None:
        raise InputError(f"request parameter {EXPLAIN} is {value!r:.60}; give true or false")
    return said


def _fraction(name: str, value: Any) -> float:
    try:
        if isinstance(value, (int, float, str)) and not isinstance(value, bool):
            return float(value)
    except ValueError:
        pass
    raise InputError(f"request parameter {name} is {value!r:.60}; give a number between 0 and 1")


def _count(name: str, value: Any) -> int:
    try:
        if isinstance(value, (int, str)) and not isinstance(value, bool):
            return int(value)
    except ValueError:
        pass
    raise InputError(f"request parameter {name} is {value!r:.60}; give a whole number of at least 1")


def _name(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    raise InputError(f"request parameter {name} is {value!r:.60}; give a name")


_READERS: dict[str, Callable[[str, Any], Any]] = {
    THRESHOLD: _fraction,
    POLICY: _name,
    TOP_K: _count,
    PROMISE: _fraction,
}
_KNOWN = (*_READERS, EXPLAIN)
_YES_OR_NO = {"true": True, "1": True, "false": False, "0": False}
