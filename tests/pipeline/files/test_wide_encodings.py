"""Which bytes are taken for UTF-16 and UTF-32."""

import pytest

from pipeline.files.wide_encodings import wide_encoding

ROWS = {
    "utf-8": ["停产裁员", "地震，12人", "ab", "c"],
    "gb18030": ["停产裁员", "地震，12人", "一", "c"],
    "big5": ["台灣", "地震12人", "罷工"],
    "shift_jis": ["地震", "カナ", "東京"],
    "cp1252": ["été", "über", "façade", "ab"],
}


@pytest.mark.parametrize("encoding", ROWS)
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("end", ["", "\n"])
def test_a_lone_nul_makes_no_utf_16_wherever_it_stands(encoding, count, end):
    rows = ROWS[encoding]
    for first in range(len(rows)):
        raw = ("\n".join((rows[first:] + rows[:first])[:count]) + end).encode(encoding)
        taken = {wide_encoding(raw[:place] + b"\0" + raw[place:]) for place in range(len(raw) + 1)}
        assert taken == {None}, raw


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8"])
def test_nor_do_several_in_chinese(encoding):
    for start in ("", "一"):
        raw = f"{start}停产裁员\n\0地震\n\0罢工\n\0退休\n".encode(encoding)
        assert wide_encoding(raw) is None


@pytest.mark.parametrize("encoding", ["UTF-16LE", "UTF-16BE", "UTF-32LE", "UTF-32BE"])
@pytest.mark.parametrize("row", ["某公司，开始裁员", "layoffs at Foo", "안녕하세요", "東京の地震"])
def test_wide_text_is_still_told(encoding, row):
    assert wide_encoding((f"{row}\n" * 3).encode(encoding)) == encoding
