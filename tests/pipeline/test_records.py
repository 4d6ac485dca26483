from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.records import MOST_BYTES, MOST_LEVELS, from_fields, parse_json, read_json

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@dataclass(frozen=True)
class Inner:
    name: str


@dataclass(frozen=True)
class Outer:
    count: int
    share: float
    sure: bool
    names: tuple[str, ...]
    inner: tuple[Inner, ...] = ()
    limit: int | None = None
    free: Mapping[str, Any] = field(default_factory=dict)


GOOD = {"count": 1, "share": 2, "sure": True, "names": ["a"], "inner": [{"name": "b"}], "limit": None, "free": {"x": 1}}


@given(ANYTHING)
def test_json_is_read_as_json_reads_it(value):
    assert parse_json(json.dumps(value)) == value
    assert parse_json(json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[" * 100_000, "nested deeper than 32"),
        ("[" * (MOST_LEVELS + 1) + "]" * (MOST_LEVELS + 1), "nested deeper than 32"),
        ('{"a": NaN}', "NaN is no number"),
        ("[-Infinity]", "-Infinity is no number"),
        ("[1e999]", "1e999 is too large a number"),
        ("9" * 5000, "99 is too large a number".replace("99", "9" * 40)),
        (r'["\ud800"]', "half of a surrogate pair at character 1"),
        (r'{"\udfff": 1}', "half of a surrogate pair at character 1"),
        (r'[{"a": 1, "b": 2, "\u0061": 1}]', "an object has the key 'a' twice; keep one"),
        (b'["\xff"]', "can't decode"),
        ("", "Expecting value"),
    ],
)
def test_what_is_no_json_of_text_and_numbers_is_a_value_error(content, reason):
    with pytest.raises(ValueError, match=reason):
        parse_json(content)


def test_a_huge_file_is_not_read_to_its_end(tmp_path):
    with open(tmp_path / "huge.json", "wb") as stream:
        stream.truncate(MOST_BYTES * 100)
    with pytest.raises(ValueError, match="larger than 67,108,864 bytes"):
        read_json(tmp_path / "huge.json")


def test_fields_become_a_dataclass():
    assert from_fields(Outer, {**GOOD, "unknown": 1}) == Outer(1, 2, True, ("a",), (Inner("b"),), None, {"x": 1})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"count": "1"}, "count must be a whole number, not '1'"),
        ({"count": True}, "count must be a whole number, not True"),
        ({"share": None}, "share must be a number, not None"),
        ({"sure": 1}, "sure must be true or false, not 1"),
        ({"names": "abc"}, "names must be a list, not 'abc'"),
        ({"names": ["a", 1]}, r"names\[1\] must be a string, not 1"),
        ({"inner": [{"name": 1}]}, r"inner\[0\]: name must be a string, not 1"),
        ({"inner": [{}]}, r"inner\[0\]: name is missing"),
        ({"inner": {"name": "b"}}, "inner must be a list"),
        ({"limit": "1"}, "limit must be a whole number"),
        ({"free": []}, r"free must be an object, not \[\]"),
    ],
)
def test_a_wrong_field_is_named(change, reason):
    with pytest.raises(InputError, match=f"^{reason}"):
        from_fields(Outer, {**GOOD, **change})


@given(st.sampled_from(sorted(GOOD)), ANYTHING)
def test_whatever_a_field_holds_it_is_taken_or_named(name, value):
    try:
        made = from_fields(Outer, {**GOOD, name: value})
    except InputError as error:
        assert name in str(error)
    else:
        assert getattr(made, name) is not None or value is None
