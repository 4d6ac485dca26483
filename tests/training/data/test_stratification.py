"""Rows are shared out with the same part of every label in each file."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from training.data.stratification import stratified

ROWS = st.lists(st.frozensets(st.sampled_from("abcdef"), max_size=3), min_size=1, max_size=60)


@given(ROWS, st.integers(0, 100), st.integers(0, 100))
def test_every_row_goes_to_one_file_and_counts_are_kept(rows, dev, test):
    counts = [
        len(rows) - len(rows) * dev // 200 - len(rows) * test // 200,
        len(rows) * dev // 200,
        len(rows) * test // 200,
    ]
    files = stratified(rows, counts)
    assert [files.count(file) for file in range(3)] == counts


def test_a_label_with_one_row_goes_to_the_largest_file_and_others_are_shared_out():
    rows = [{"often"}] * 70 + [{"often", "ten"}] * 10 + [{"once"}] + [{"twice"}] * 2 + [{"rest"}] * 17
    files = stratified(rows, [80, 10, 10])
    found = {
        file: Counter(label for row, each in zip(rows, files) if each == file for label in row) for file in range(3)
    }
    assert found[0]["once"] == 1
    assert found[0]["twice"] == 2
    assert [found[file]["ten"] for file in range(3)] == [8, 1, 1]
    assert [found[file]["often"] for file in range(3)] == [64, 8, 8]


def test_rows_without_labels_fill_what_is_left():
    assert sorted(stratified([set()] * 4, [2, 1, 1])) == [0, 0, 1, 2]
