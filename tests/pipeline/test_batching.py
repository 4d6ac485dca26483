import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.batching import pad, plan_batches, run_in_batches, unpad


@given(st.lists(st.integers(1, 300), max_size=60), st.integers(1, 1000))
def test_batches_hold_every_row_once_within_the_budget(lengths, budget):
    batches = plan_batches(np.array(lengths, np.int64), budget)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= budget


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


@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=20), min_size=1, max_size=9))
def test_unpad_undoes_pad(rows):
    assert [row.tolist() for row in unpad(pad([np.array(row) for row in rows]))] == rows


def test_a_row_of_padding_alone_keeps_one_id():
    assert [len(row) for row in unpad(np.zeros((2, 5), np.int64))] == [1, 1]
