"""The one check that every runtime makes of a graph it has loaded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import BundleError
from pipeline.tensors import FIRST_TOKENS, INPUT_IDS, LOGITS, POSITION_IDS, TEXT_NUMBERS, TOKEN_TYPE_IDS

PLAIN_INPUTS = (INPUT_IDS, TOKEN_TYPE_IDS)
PACKED_INPUTS = (INPUT_IDS, POSITION_IDS, TEXT_NUMBERS, FIRST_TOKENS)


def check_tensor_names(
    graph: Path | str, inputs: Iterable[str], outputs: Iterable[str], expected_inputs: Iterable[str] = PLAIN_INPUTS
) -> None:
    """Raise BundleError unless the graph has the tensors that this project's graphs have."""
    for kind, found, expected in (("inputs", inputs, set(expected_inputs)), ("outputs", outputs, {LOGITS})):
        if set(found) != expected:
            raise BundleError(f"{graph} has {kind} {sorted(found)}; expected {sorted(expected)}; export it again")
