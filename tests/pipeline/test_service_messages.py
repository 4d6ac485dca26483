"""What callers of Paddle Serving may send as texts."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.service_messages import read_texts

TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=8)


@given(TEXTS)
def test_a_list_in_whatever_way_a_client_writes_it_is_its_texts(texts):
    with np.printoptions(threshold=10**6):
        as_text = repr(np.array([*texts, "-"]))  # numpy drops NUL characters at the end of the longest text
        as_bytes = repr(np.array([text.encode() for text in texts], dtype=np.object_))
        as_objects = repr(np.array(texts, dtype=np.object_))
    assert read_texts(json.dumps(texts), 9) == read_texts(as_bytes, 9) == read_texts(as_objects, 9) == texts
    assert read_texts(as_text, 9) == [*(text.rstrip("\0") for text in texts), "-"]


@pytest.mark.parametrize(
    "sentence",
    [
        "array([1, 2])",
        "array([['a'], ['b']], dtype='<U1')",
        "array(['a', __import__('os').getcwd()], dtype=object)",
        "array(['a'], dtype=eval('1'))",
        "array(['a'",
        "array([b'\\xff'], dtype=object)",
        "array(['\\ud800'], dtype='<U1')",
        "array([], dtype=object)",
        "['a', 'b']",
        "array([" + "(" * 100_000,
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(sentence):
    with pytest.raises(InputError, match="JSON array|no text|empty array"):
        read_texts(sentence, 9)


def test_a_plain_text_is_one_text():
    assert read_texts("an array of texts", 9) == ["an array of texts"]
    assert read_texts("array 与 list 的区别", 9) == ["array 与 list 的区别"]


def test_too_many_texts_are_refused_in_every_way_of_writing():
    for sentence in ('["a", "b"]', "array(['a', 'b'], dtype='<U1')"):
        with pytest.raises(InputError, match="there are 2 texts in one request; send at most 1"):
            read_texts(sentence, 1)
