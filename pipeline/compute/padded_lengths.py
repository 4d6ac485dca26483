"""A few lengths that token ids are padded to, for engines that join only requests of equal shape to a batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.errors import InputError
from pipeline.tensors import PAD_ID

CPU_LENGTHS = (16, 32, 48, 64, 96, 128, 192, 256, 384, 512)
"""On a CPU each padded token costs as much as a real one, and a batch of one text is nearly as fast as a larger one."""
GPU_LENGTHS = (32, 64, 128, 256, 512)
"""On a GPU padding is cheap and batches are what makes it fast: the fewer lengths, the more requests share one."""


def lengths_up_to(maximum: int, lengths: Sequence[int] = CPU_LENGTHS) -> tuple[int, ...]:
    """`lengths` cut at the model's maximum, which always is the last of them.

    Raises:
        InputError: they are not positive and ascending.
    """
    if any(low >= high for low, high in zip((0, *lengths), lengths)):
        raise InputError(f"padded lengths {', '.join(map(str, lengths))}: give positive numbers in ascending order")
    return (*(length for length in lengths if length < maximum), maximum)


def pad_to_length(input_ids: np.ndarray, lengths: Sequence[int]) -> np.ndarray:
    """int64 [rows, length] filled up with the padding id to the first of the ascending `lengths` that holds it.

    Returned as it is where none does, or where there are none.
    """
    width = input_ids.shape[1]
    missing = next((length for length in lengths if length >= width), width) - width
    return np.pad(input_ids, ((0, 0), (0, missing)), constant_values=PAD_ID) if missing else input_ids
