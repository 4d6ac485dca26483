"""The encoders that paddlenlp 2.8.1 knows by name, without importing it; a test compares them with its own lists."""

from __future__ import annotations

from typing import NamedTuple

_NAMES = {
    ("ernie", 1024): """
        ernie-1.0-large-zh-cw ernie-2.0-large-zh ernie-2.0-large-en ernie-3.0-xbase-zh
        ernie-search-large-cross-encoder-marco-en utc-large utc-xbase
    """,
    ("ernie", 768): """
        ernie-1.0 ernie-1.0-base-zh ernie-1.0-base-zh-cw ernie-2.0-base-zh ernie-2.0-base-en
        ernie-2.0-base-en-finetuned-squad rocketqa-zh-dureader-query-encoder rocketqa-zh-dureader-para-encoder
        rocketqa-v1-marco-query-encoder rocketqa-v1-marco-para-encoder rocketqa-zh-dureader-cross-encoder
        rocketqa-v1-marco-cross-encoder ernie-3.0-base-zh ernie-3.0-medium-zh ernie-3.0-tiny-base-v1-zh
        ernie-3.0-tiny-medium-v1-zh rocketqa-base-cross-encoder rocketqa-medium-cross-encoder
        rocketqa-zh-base-query-encoder rocketqa-zh-base-para-encoder rocketqa-zh-medium-query-encoder
        rocketqa-zh-medium-para-encoder rocketqav2-en-marco-cross-encoder rocketqav2-en-marco-query-encoder
        rocketqav2-en-marco-para-encoder uie-base uie-medium uie-base-en uie-senta-base uie-senta-medium
        uie-base-answer-extractor uie-base-qa-filter ernie-search-base-dual-encoder-marco-en ernie-3.0-tiny-base-v2-zh
        ernie-3.0-tiny-medium-v2-zh utc-base utc-medium
    """,
    ("ernie", 384): """
        ernie-3.0-mini-zh ernie-3.0-micro-zh ernie-3.0-tiny-mini-v1-zh ernie-3.0-tiny-micro-v1-zh
        rocketqa-mini-cross-encoder rocketqa-micro-cross-encoder rocketqa-zh-mini-query-encoder
        rocketqa-zh-mini-para-encoder rocketqa-zh-micro-query-encoder rocketqa-zh-micro-para-encoder uie-mini
        uie-micro uie-senta-mini uie-senta-micro ernie-3.0-tiny-mini-v2-zh ernie-3.0-tiny-mini-v2-en
        ernie-3.0-tiny-micro-v2-zh utc-mini utc-micro
    """,
    ("ernie", 312): """
        ernie-3.0-nano-zh ernie-3.0-tiny-nano-v1-zh rocketqa-nano-cross-encoder rocketqa-zh-nano-query-encoder
        rocketqa-zh-nano-para-encoder uie-nano uie-senta-nano ernie-3.0-tiny-nano-v2-zh utc-nano
    """,
    ("ernie", 128): """
        ernie-3.0-tiny-pico-v2-zh utc-pico
    """,
    ("bert", 1024): """
        bert-large-uncased bert-large-cased macbert-large-chinese
    """,
    ("bert", 768): """
        bert-base-uncased bert-base-multilingual-uncased bert-base-cased bert-base-chinese
        bert-base-multilingual-cased bert-wwm-chinese bert-wwm-ext-chinese macbert-base-chinese simbert-base-chinese
        uer/chinese-roberta-base uer/chinese-roberta-6l-768h
    """,
    ("bert", 512): """
        uer/chinese-roberta-medium uer/chinese-roberta-small
    """,
    ("bert", 256): """
        uer/chinese-roberta-mini
    """,
    ("bert", 128): """
        uer/chinese-roberta-tiny
    """,
    ("roberta", 1024): """
        hfl/roberta-wwm-ext-large hfl/rbtl3
    """,
    ("roberta", 768): """
        hfl/roberta-wwm-ext hfl/rbt6 hfl/rbt4 hfl/rbt3
    """,
}
"""By the family and the width of their hidden states."""


class Named(NamedTuple):
    """What is known of an encoder before it is fetched.

    Attributes:
        family: "bert", "ernie" or "roberta".
        width: of its hidden states.
    """

    family: str
    width: int


NAMED = {name: Named(*kind) for kind, names in _NAMES.items() for name in names.split()}
"""Those whose weights paddlenlp fetches."""
UNREAD = ("ernie-tiny", "ernie-m-base", "ernie-m-large", "uie-m-base", "uie-m-large")
"""Those whose tokeniser, SentencePiece's with a dictionary of its own, is not read here."""
