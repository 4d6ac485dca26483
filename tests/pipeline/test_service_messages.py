"""What callers of Paddle Serving may send as texts."""

import json
import time

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


@pytest.mark.parametrize(
    "sentence",
    [
        ' ["a", "b\'"]',
        '\n[\n "a",\n "b\'"\n]\n',
        '\ufeff["a", "b\'"]',
        """np.array(['a', "b'"])""",
        """numpy.array( [b'a', b"b'"] , dtype=object)""",
        """array( [\n'a',\n "b\\'",\n])""",
    ],
)
def test_space_and_spelling_round_a_list_make_no_single_text_of_it(sentence):
    assert read_texts(sentence, 9) == ["a", "b'"]


def test_a_tuple_of_python_is_refused_by_name():
    """The original application evaluated it."""
    for sentence in ("('a', 'b')", ' ("a",)'):
        with pytest.raises(InputError, match="is a tuple of Python; send several texts as a JSON array"):
            read_texts(sentence, 9)
    assert read_texts("('a' or 'b')", 9) == ["('a' or 'b')"]


def test_a_printed_array_costs_no_more_than_its_bytes():
    started = time.process_time()
    with pytest.raises(InputError, match="more than 9 texts"):
        read_texts("array([" + "''," * 1_000_000 + "])", 9)
    assert len(read_texts("array(['" + "\\u4e2d" * 500_000 + "'])", 9)[0]) == 500_000
    with pytest.raises(InputError, match="is Python with over 1,000,000 escapes"):
        read_texts("('" + "\\x" * 1_000_001, 9)
    assert time.process_time() - started < 5


def test_a_plain_text_is_one_text():
    assert read_texts("an array of texts", 9) == ["an array of texts"]
    assert read_texts("array 与 list 的区别", 9) == ["array 与 list 的区别"]


def test_too_many_texts_are_refused_in_every_way_of_writing():
    for sentence in ('["a", "b"]', "array(['a', 'b'], dtype='<U1')"):
        with pytest.raises(InputError, match="there are (2|more than 1) texts in one request; send at most 1"):
            read_texts(sentence, 1)
