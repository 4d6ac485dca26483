import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.compute.packing import (
    LENGTH_STEP,
    MOST_TEXTS,
    empty_inputs,
    pack,
    plan_batches,
    plan_rows,
    shapes_to_warm,
)

lengths_of_texts = st.lists(st.integers(1, 600), min_size=1, max_size=60)


@given(lengths_of_texts)
def test_rows_hold_every_text_once_and_no_more_than_they_can(lengths):
    planned = plan_rows(lengths, (128, 256))
    assert sorted(text for rows in planned.values() for row in rows for text in row) == list(range(len(lengths)))
    for length, rows in planned.items():
        assert length in (128, 256) or length == max(lengths[row[0]] for row in rows) > 256
        for row in rows:
            assert sum(lengths[text] for text in row) <= length
            assert len(row) <= MOST_TEXTS


def test_batches_are_nearly_full():
    lengths = np.random.default_rng(0).integers(9, 100, 64)
    batches = pack([np.ones(length, np.int64) for length in lengths], 1024)
    assert lengths.sum() > 0.94 * sum(batch.inputs["input_ids"].size for batch in batches)


def test_batches_come_in_the_order_of_their_earliest_turn():
    lengths = np.random.default_rng(0).integers(9, 100, 64)
    texts, turns = [np.ones(length, np.int64) for length in lengths], np.random.default_rng(1).permutation(64)
    in_turn, planned = ([sorted(batch.texts) for batch in pack(texts, 512, order)] for order in (turns, None))
    assert sorted(in_turn) == sorted(planned)  # nothing else changes
    earliest = [turns[batch].min() for batch in in_turn]
    assert earliest == sorted(earliest)
    assert earliest != [turns[batch].min() for batch in planned]


def test_texts_that_fit_into_one_row_get_one():
    assert plan_batches([40, 40, 40], 1024) == [[[0, 1, 2]]]
    assert plan_batches([], 1024) == []


@given(lengths_of_texts, st.integers(1, 2000))
def test_each_text_can_be_found_in_its_batch(lengths, budget):
    texts = [np.full(length, number + 1) for number, length in enumerate(lengths)]
    found = []
    for batch in pack(texts, budget):
        ids, positions, numbers, first = batch.inputs.values()
        assert ids.size <= budget or (len(ids) == 1 and ids.shape[1] < max(lengths) + LENGTH_STEP)
        slots = first.shape[1]
        for text, place in zip(batch.texts, batch.places):
            start = first.ravel()[place]
            row = place // slots
            own = numbers[row] == numbers.ravel()[start]
            assert ids[row][own].tolist() == texts[text].tolist()
            assert positions[row][own].tolist() == list(range(len(texts[text])))
            assert ids.ravel()[start] == text + 1
            found.append(text)
    assert sorted(found) == list(range(len(texts)))


def test_many_texts_are_planned_in_pieces(monkeypatch):
    monkeypatch.setattr("pipeline.compute.packing.PLANNED_TEXTS", 10)
    texts = [np.full(5, number) for number in range(1, 36)]
    batches = list(pack(texts, 1024))
    assert len(batches) == 4
    assert [text for batch in batches for text in sorted(batch.texts)] == list(range(35))


def test_a_large_budget_does_not_make_the_start_long():
    assert len(shapes_to_warm(1 << 20, 512)) < 100


def test_the_shapes_to_warm_are_those_that_occur():
    warm = set(shapes_to_warm(1024, 128))
    assert {(1, 16, 1), (1, 128, 1), (8, 128, 4), (5, 192, 4)} <= warm
    assert (4, 256, 4) in shapes_to_warm(1024, 200)
    rng = np.random.default_rng(0)
    for count in (1, 9, 30):
        for batch in pack([np.ones(length, np.int64) for length in rng.integers(20, 100, count)], 1024):
            rows, length = batch.inputs["input_ids"].shape
            assert (rows, length) in {shape[:2] for shape in warm}
    assert empty_inputs(2, 32, 4)["first_tokens"].shape == (2, 4)
