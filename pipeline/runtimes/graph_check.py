"""The one check that every runtime makes of a graph it has loaded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import BundleError
from pipeline.tensors import INPUT_IDS, LOGITS, TOKEN_TYPE_IDS


def check_tensor_names(graph: Path | str, inputs: Iterable[str], outputs: Iterable[str]) -> None:
    """Raise BundleError unless the graph has the tensors that this project's graphs have."""
    for kind, found, expected in (("inputs", inputs, {INPUT_IDS, TOKEN_TYPE_IDS}), ("outputs", outputs, {LOGITS})):
        if set(found) != expected:
            raise BundleError(f"{graph} has {kind} {sorted(found)}; expected {sorted(expected)}; export it again")
