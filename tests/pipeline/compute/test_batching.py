import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.compute.batching import (
    OVERHEAD_TOKENS,
    checked_rows,
    iterate_batches,
    measured_overhead,
    pad,
    plan_batches,
    run_in_batches,
    unpad,
)
from pipeline.errors import InputError


@given(st.lists(st.integers(1, 300), max_size=60), st.integers(1, 1000))
def test_batches_hold_every_row_once_within_the_budget(lengths, budget):
    batches = plan_batches(np.array(lengths, np.int64), budget)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= budget


@given(st.lists(st.integers(1, 200), min_size=1, max_size=9), st.integers(1, 600))
def test_no_other_cut_of_the_sorted_rows_costs_less(lengths, budget):
    def cost(batches):
        return sum(OVERHEAD_TOKENS + len(batch) * max(batch) for batch in batches)

    def cuts(rows):
        """Every way to cut `rows` into batches within the budget."""
        if not rows:
            yield []
        for size in range(1, len(rows) + 1):
            if size == 1 or size * rows[size - 1] <= budget:
                for rest in cuts(rows[size:]):
                    yield [rows[:size], *rest]

    planned = [[lengths[row] for row in batch] for batch in plan_batches(np.array(lengths), budget)]
    assert cost(planned) == min(map(cost, cuts(sorted(lengths))))


def test_short_rows_are_not_padded_to_the_length_of_long_ones():
    batches = plan_batches(np.array([100, 3, 100, 3]), 200)
    assert [sorted(batch) for batch in batches] == [[1, 3], [0, 2]]


@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=20), min_size=1, max_size=20), st.integers(1, 50))
def test_results_come_back_in_the_callers_order(rows, budget):
    arrays = [np.array(row, np.int64) for row in rows]

    def total(input_ids, token_type_ids):
        assert token_type_ids.shape == input_ids.shape
        return input_ids.sum(axis=1, keepdims=True).astype(np.float32)

    assert run_in_batches(arrays, total, budget).ravel().tolist() == [sum(row) for row in rows]


def test_batches_come_in_the_order_of_their_earliest_turn():
    rows = [np.ones(length, np.int64) for length in np.random.default_rng(0).integers(1, 40, 60)]
    turns = np.random.default_rng(1).permutation(60)

    def batches(order):
        computed = iterate_batches(rows, lambda ids, _: np.zeros((len(ids), 1), np.float32), 200, 0, order)
        return [batch.tolist() for batch, _ in computed]

    earliest = [turns[batch].min() for batch in batches(turns)]
    assert sorted(batches(turns)) == sorted(batches(None))  # nothing else changes
    assert earliest == sorted(earliest)
    assert earliest != [turns[batch].min() for batch in batches(None)]


@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=20), min_size=1, max_size=9))
def test_unpad_undoes_pad(rows):
    assert [row.tolist() for row in unpad(pad([np.array(row) for row in rows]))] == rows


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([[2, 5, 3], [2, 99, 3]], "row 1: token id 99 is outside the vocabulary of 10"),
        ([[2, -1, 3]], "row 0: token id -1 is outside"),
        ([[5] * 9], "row 0: there are 9 token ids; the model reads at most 8"),
        ([[]], "there are no token ids"),
    ],
)
def test_ids_that_the_model_cannot_read_are_refused(ids, message):
    with pytest.raises(InputError, match=message):
        checked_rows(np.array(ids, np.int64), vocabulary_size=10, max_length=8)


def test_a_row_of_padding_alone_keeps_one_id():
    assert [len(row) for row in unpad(np.zeros((2, 5), np.int64))] == [1, 1]


def test_the_cost_of_a_start_is_measured_in_tokens(monkeypatch):
    now = 0.0

    def run(input_ids: np.ndarray, token_type_ids: np.ndarray) -> np.ndarray:
        nonlocal now
        now += 0.004 + input_ids.size * 1e-5
        return np.zeros((len(input_ids), 1), np.float32)

    monkeypatch.setattr(time, "perf_counter", lambda: now)
    assert 390 < measured_overhead(run, 128) < 410  # 400, and lengths are whole numbers
