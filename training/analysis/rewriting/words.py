"""Texts cut into words such that the words, joined, are the text again."""

from __future__ import annotations

import functools
import logging
import re
import tempfile
import unicodedata
from typing import Callable

from training.analysis.word_characters import WORD_CHARACTER

_PIECES = re.compile(rf"{WORD_CHARACTER}+(?:['’]{WORD_CHARACTER}+)*|\s+|[^\w\s]")
Segmenter = Callable[[str], list[str]]


@functools.cache
def segmenter(chinese: bool) -> Segmenter:
    """What cuts a text into words, white space and marks: jieba for Chinese, a pattern for other languages."""
    if not chinese:
        return _PIECES.findall
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
