"""Batches of token ids: rows of like length together, cut by a token budget.

Padding a short text to the length of a long one costs as much as the long one, so rows are sorted by length first.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Callable

import numpy as np

from pipeline.errors import InputError
from pipeline.tensors import PAD_ID

TOKEN_BUDGET = 1024
"""Tokens, padding included, that one run of the model takes at most, unless a single row is longer."""
OVERHEAD_TOKENS = 90
"""What starting a batch costs, in tokens: with a 6 x 768 encoder in bfloat16, 4.5 ms beside 0.05 ms a token."""
MEASURED_ROWS, MEASURED_RUNS = (1, 8), 6


def plan_batches(
    lengths: np.ndarray, token_budget: int = TOKEN_BUDGET, overhead_tokens: int = OVERHEAD_TOKENS
) -> list[np.ndarray]:
    """Row numbers of each batch, shortest rows first, so cut that the batches together cost least.

    A batch costs its rows times its longest row, and `overhead_tokens`. The best cuts of the sorted rows are found by
    dynamic programming over where the last batch begins.

    Args:
        lengths: int [rows].
        token_budget: a batch's rows times its longest row stay within it; a batch has at least one row.
    """
    if len(lengths) == 1:
        return [np.zeros(1, int)]
    order = np.argsort(lengths, kind="stable")
    costs, begins = np.zeros(len(order) + 1), np.zeros(len(order) + 1, int)
    for end, longest in enumerate(lengths[order].tolist(), 1):
        first = max(0, end - max(1, token_budget // max(1, longest)))
        candidates = costs[first:end] + np.arange(end - first, 0, -1) * longest
        best = int(candidates.argmin())
        costs[end], begins[end] = candidates[best] + overhead_tokens, first + best
    batches, end = [], len(order)
    while end:
        batches.append(order[begins[end] : end])
        end = begins[end]
    return batches[::-1]


def pad(rows: Sequence[np.ndarray]) -> np.ndarray:
    """int64 [len(rows), longest row], filled up with the padding id."""
    padded = np.full((len(rows), max(len(row) for row in rows)), PAD_ID, np.int64)
    for target, row in zip(padded, rows):
        target[: len(row)] = row
    return padded


def unpad(input_ids: np.ndarray) -> list[np.ndarray]:
    """The rows of int64 [batch, length], length above 0, without the padding at their ends; each keeps an id."""
    used = input_ids != PAD_ID
    used[:, 0] = True
    lengths = input_ids.shape[1] - used[:, ::-1].argmax(axis=1)
    return [row[:length] for row, length in zip(input_ids, lengths)]


def checked_rows(input_ids: np.ndarray, vocabulary_size: int, max_length: int) -> list[np.ndarray]:
    """The rows of int64 [batch, length] without the padding at their ends, fit for the model.

    Raises:
        InputError: a row has no token, more than `max_length`, or an id that the vocabulary lacks.
    """
    if input_ids.shape[1] == 0:
        raise InputError("row 0: there are no token ids")
    rows = unpad(input_ids)
    in_vocabulary = ((input_ids >= 0) & (input_ids < vocabulary_size)).all()
    for number, row in enumerate(rows):
        if len(row) > max_length:
            raise InputError(f"row {number}: there are {len(row)} token ids; the model reads at most {max_length}")
        if not in_vocabulary and (row.min() < 0 or row.max() >= vocabulary_size):
            wrong = row[(row < 0) | (row >= vocabulary_size)][0]
            raise InputError(f"row {number}: token id {wrong} is outside the vocabulary of {vocabulary_size}")
    return rows


def run_in_batches(
    rows: Sequence[np.ndarray],
    run: Callable[[np.ndarray, np.ndarray], np.ndarray],
    token_budget: int = TOKEN_BUDGET,
    overhead_tokens: int = OVERHEAD_TOKENS,
) -> np.ndarray:
    """Run a model over rows of any lengths; the results stand in the rows' order.

    Args:
        rows: token ids, int64 [length] each.
        run: takes input_ids and token_type_ids, int64 [batch, length], and gives float32 [batch, labels].

    Returns:
        float32 [len(rows), labels]; [0, 0] for no rows.
    """
    results: np.ndarray | None = None
    for batch, logits in iterate_batches(rows, run, token_budget, overhead_tokens):
        if results is None:
            results = np.empty((len(rows), logits.shape[1]), np.float32)
        results[batch] = logits
    return results if results is not None else np.empty((0, 0), np.float32)


def iterate_batches(
    rows: Sequence[np.ndarray],
    run: Callable[[np.ndarray, np.ndarray], np.ndarray],
    token_budget: int = TOKEN_BUDGET,
    overhead_tokens: int = OVERHEAD_TOKENS,
    turns: np.ndarray | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """As `run_in_batches`, but yield each batch's row numbers and results as soon as they are computed.

    Args:
        turns: int [rows]; batches come in the order of the least of their rows' turns, otherwise shortest rows first.
    """
    planned = plan_batches(np.array([len(row) for row in rows], np.int64), token_budget, overhead_tokens)
    for batch in planned if turns is None else sorted(planned, key=lambda batch: turns[batch].min()):
        input_ids = pad([rows[row] for row in batch])
        yield batch, run(input_ids, np.zeros_like(input_ids))


def measured_overhead(run: Callable[[np.ndarray, np.ndarray], np.ndarray], max_length: int) -> int:
    """What starting a batch costs here, in tokens: where the line of seconds over tokens begins.

    Each run has another length than the one before, as in use: some runtimes take long over that.
    """
    lengths = np.linspace(max(1, max_length // 4), max(1, max_length // 2), MEASURED_RUNS, dtype=int)
    points: list[tuple[int, float]] = []
    for rows in MEASURED_ROWS:
        seconds = []
        for length in (*lengths, *lengths[::-1]):
            input_ids = np.ones((rows, length), np.int64)
            started = time.perf_counter()
            run(input_ids, np.zeros_like(input_ids))
            seconds.append(time.perf_counter() - started)
        points.append((rows * int(lengths.mean()), float(np.median(seconds))))
    (few, short), (many, long) = points
    per_token = max(long - short, 1e-9) / (many - few)
    return max(0, int(short / per_token - few))
