"""The benchmark of long texts, from its generated texts to both of its tables."""

import pytest

from benchmarks.quality.long_texts import WINDOW_COUNTS, LongTextOptions, measure
from pipeline.text.long_texts import WINDOWS


@pytest.mark.slow
def test_both_parts_are_measured():
    options = LongTextOptions(
        short_rows=20,
        long_rows=20,
        characters=200,
        max_seq_length=64,
        epochs=1,
        ways=(WINDOWS,),
        shape="scratch-tiny",
        rounds=1,
    )
    record = measure(options)
    assert 0 <= record["ways"][WINDOWS]["test"]["micro_f1"] <= 1
    assert list(record["seconds by windows"]) == list(WINDOW_COUNTS)
