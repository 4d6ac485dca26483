"""Long rows cut into windows, and their logits put together."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.compute.batching import iterate_batches, run_in_batches
from pipeline.compute.windows import Pooled, Windows
from pipeline.errors import InputError
from pipeline.tensors import PAD_ID
from pipeline.text.long_texts import LongTexts, window_overlap

ROWS = st.lists(st.integers(0, 90), max_size=12)


def row(tokens):
    """[CLS], so many tokens that can be told apart, [SEP]."""
    return np.array([2, *range(10, 10 + tokens), 3], np.int64)


def marks(input_ids, token_type_ids):
    """A model that finds a token where it stands: the ids of a row, one column each."""
    found = np.zeros((len(input_ids), 120), np.float32)
    for target, ids in zip(found, input_ids):
        target[ids[ids != PAD_ID]] = 1
    return found


@pytest.mark.parametrize(
    ("tokens", "spans"),
    [
        (8, [(10, 18)]),
        (9, [(10, 18), (16, 19)]),
        (14, [(10, 18), (16, 24)]),
        (15, [(10, 18), (16, 24), (22, 25)]),
    ],
)
def test_windows_overlap_by_a_quarter_and_each_has_both_special_tokens(tokens, spans):
    windows, owners = Windows(10).split([row(tokens), row(2)])
    assert [window.tolist() for window in windows[:-1]] == [[2, *range(*span), 3] for span in spans]
    assert owners.tolist() == [0] * len(spans) + [1]


@given(ROWS, st.integers(3, 40))
def test_windows_leave_no_token_out_and_hold_no_more_than_the_model_takes(lengths, length):
    windows, owners = Windows(length).split([row(tokens) for tokens in lengths])
    assert all(len(window) <= length and (window[0], window[-1]) == (2, 3) for window in windows)
    for number, tokens in enumerate(lengths):
        own = [window[1:-1].tolist() for window, owner in zip(windows, owners) if owner == number]
        assert [id for part, new in zip(own, [0, *[window_overlap(length)] * len(own)]) for id in part[new:]] == list(
            range(10, 10 + tokens)
        )


@given(ROWS, st.integers(3, 40), st.integers(1, 64))
def test_a_text_of_as_many_tokens_as_are_read_has_as_many_windows_as_it_may(lengths, length, most):
    tokens = LongTexts("windows", most_windows=most).most_tokens(length)
    assert len(Windows(length).split([np.arange(tokens)])[0]) == most
    assert len(Windows(length).split([np.arange(tokens + 1)])[0]) == most + 1


@given(ROWS, st.integers(3, 40), st.sampled_from(["max", "mean"]), st.integers(1, 100))
def test_pooled_logits_are_the_largest_or_the_mean_of_the_windows(lengths, length, pool, budget):
    rows, windows = [row(tokens) for tokens in lengths], Windows(length, pool)
    parts, owners = windows.split(rows)
    of_parts = run_in_batches(parts, marks) if parts else np.empty((0, 120))
    expected = [getattr(of_parts[owners == number], pool)(axis=0) for number in range(len(rows))]
    computed = windows.run_in_batches(rows, marks, budget)
    assert computed.shape == ((len(rows), 120) if rows else (0, 0))
    assert not rows or computed == pytest.approx(np.array(expected), abs=1e-6)


@given(ROWS, st.integers(3, 40))
def test_a_text_is_given_once_and_only_when_all_of_its_windows_are_computed(lengths, length):
    rows, done, given_at = [row(tokens) for tokens in lengths], [], {}

    def compute(parts):
        for numbers, logits in iterate_batches(parts, marks, 60):
            done.extend(numbers.tolist())
            yield numbers, logits

    windows = Windows(length)
    for numbers, _ in windows.batches(rows, compute):
        for number in numbers.tolist():
            assert number not in given_at
            given_at[number] = set(done)
    owners = windows.split(rows)[1]
    assert sorted(given_at) == list(range(len(rows)))
    assert all(set(np.flatnonzero(owners == number)) <= seen for number, seen in given_at.items())


def test_a_window_that_is_not_finite_makes_its_text_so():
    for pool in ("max", "mean"):
        pooled = Pooled(np.array([0, 0, 1]), 1, pool)
        pooled.add(np.array([0, 1, 2]), np.array([[1], [np.nan], [2]], np.float32))
        assert np.isnan(pooled.logits[0, 0]) and pooled.logits[1, 0] == 2


def test_three_tokens_leave_room_for_windows_of_one():
    windows, _ = Windows(3).split([row(3)])
    assert [window.tolist() for window in windows] == [[2, 10, 3], [2, 11, 3], [2, 12, 3]]


def test_many_windows_are_cut_quickly():
    started = time.process_time()
    Windows(128).split([np.ones(LongTexts("windows", most_windows=64).most_tokens(128), np.int64)] * 256)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"way": "all"}, "unknown way 'all'; this version knows first, head_tail, windows"),
        ({"pool": "min"}, "unknown pool 'min'; this version knows max, mean"),
        ({"most_windows": 65}, "most_windows is 65; it lies between 1 and 64"),
        ({"most_windows": 0}, "most_windows is 0"),
    ],
)
def test_what_this_version_does_not_know_is_refused(fields, said):
    with pytest.raises(InputError, match=said):
        LongTexts(**fields)
