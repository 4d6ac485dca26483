"""Texts cut into words such that the words, joined, are the text again."""

from __future__ import annotations

import functools
import logging
import re
import tempfile
import unicodedata
from collections.abc import Sequence
from typing import Callable

from training.analysis.unicode_words import pieces

_CHINESE, _KANA = re.compile("[\u4e00-\u9fff]"), re.compile("[\u3041-\u3096\u30a1-\u30fa]")
Segmenter = Callable[[str], list[str]]


def is_chinese(texts: Sequence[str]) -> bool:
    """Whether more than half of the first 200 texts hold a Chinese character, and no Japanese kana."""
    first = texts[:200]
    return 2 * sum(bool(_CHINESE.search(text)) and not _KANA.search(text) for text in first) > len(first)


@functools.cache
def segmenter(chinese: bool) -> Segmenter:
    """What cuts a text into words, white space and marks: jieba for Chinese, Unicode's rules for others."""
    if not chinese:
        return pieces
    import jieba

    jieba.setLogLevel(logging.WARNING)
    tokeniser = jieba.Tokenizer()
    with tempfile.TemporaryDirectory() as private:
        # jieba would unmarshal a cache that anybody may have put into the machine's folder of temporary files.
        tokeniser.tmp_dir = private
        tokeniser.initialize()
    return tokeniser.lcut


def is_word(piece: str) -> bool:
    """Whether a piece can be changed: it has a letter, and no digit, which would change what the text reports."""
    categories = {unicodedata.category(char)[0] for char in piece}
    return "L" in categories and "N" not in categories
