"""How a text is read that has more tokens than the model takes at once: its beginning, both ends, or all of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pipeline.errors import InputError

FIRST, HEAD_TAIL, WINDOWS = "first", "head_tail", "windows"
WAYS = (FIRST, HEAD_TAIL, WINDOWS)
MAX, MEAN = "max", "mean"
POOLS = (MAX, MEAN)
MOST_WINDOWS, LARGEST_MOST_WINDOWS = 32, 64
"""Of a text: unless told otherwise, and at most. Between a server's steps a text's tokens are one row, and the rows of
a batch are padded to the longest."""


@dataclass(frozen=True)
class LongTexts:
    """What of a long text is read.

    Attributes:
        way: first: the first tokens; head_tail: the first half and the last half of what the model takes; windows: all
            of it, in windows that overlap by a quarter.
        pool: how the logits of a text's windows become one row: the maximum of each label, or the mean.
        most_windows: of a text; what is beyond is cut off.

    Raises:
        InputError: a name that is unknown here, or no usable number of windows.
    """

    way: str = FIRST
    pool: str = MAX
    most_windows: int = MOST_WINDOWS

    def __post_init__(self) -> None:
        for what, name, known in (("way", self.way, WAYS), ("pool", self.pool, POOLS)):
            if name not in known:
                raise InputError(f"unknown {what} {name!r:.40}; this version knows {', '.join(known)}")
        if not 1 <= self.most_windows <= LARGEST_MOST_WINDOWS:
            raise InputError(f"most_windows is {self.most_windows}; it lies between 1 and {LARGEST_MOST_WINDOWS}")

    def most_tokens(self, length: int) -> int:
        """Tokens that are read of a text by a model that takes `length` at once, [CLS] and [SEP] included in both."""
        return length + (self.most_windows - 1) * window_step(length) if self.way == WINDOWS else length

    def last_tokens(self, length: int) -> int:
        """How many of these are taken from the end of a text that has more."""
        return (length - 2) // 2 if self.way == HEAD_TAIL else 0

    def in_words(self, length: int) -> str:
        """What a model that takes `length` tokens at once reads: `the first 126 tokens of a text`."""
        if self.way == WINDOWS:
            pooled = {MAX: "maximum", MEAN: "mean"}[self.pool]
            return (
                f"a text in up to {self.most_windows} windows of {length - 2} tokens, which overlap by "
                f"{window_overlap(length)}, and takes the {pooled} of their logits for each label"
            )
        last = self.last_tokens(length)
        return f"the first {length - 2 - last}{f' and the last {last}' * bool(last)} tokens of a text"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def window_overlap(length: int) -> int:
    """Tokens that a window of `length` tokens, [CLS] and [SEP] included, shares with the one before it."""
    return (length - 2) // 4


def window_step(length: int) -> int:
    """Tokens from the beginning of a window of `length` tokens to that of the next; at least one."""
    return length - 2 - window_overlap(length)
