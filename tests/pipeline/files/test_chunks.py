from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.files.chunks import chunks


@given(st.lists(st.text(max_size=9)), st.integers(1, 9), st.integers(1, 30))
def test_chunks_hold_every_text_in_order_within_the_bounds(texts, rows, characters):
    cut = list(chunks(texts, rows, characters))
    assert list(chain.from_iterable(cut)) == texts
    for chunk in cut:
        assert 1 <= len(chunk) <= rows
        assert sum(map(len, chunk[:-1])) < characters
    for chunk in cut[:-1]:
        assert len(chunk) == rows or sum(map(len, chunk)) >= characters


def test_texts_before_an_error_come_first():
    def broken():
        yield from ["一", "二", "三"]
        raise InputError("no more")

    cut = chunks(broken(), 2)
    assert [next(cut), next(cut)] == [["一", "二"], ["三"]]
    with pytest.raises(InputError, match="no more"):
        next(cut)
