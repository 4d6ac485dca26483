"""Texts to words, exactly as paddlenlp 2.8.1's BertTokenizer and ErnieTokenizer cut them before WordPiece.

A word is a run of letters, digits and marks, or one CJK character, punctuation mark, symbol or special token.
Nearly all of that is decided character by character, so a text is rewritten by one `str.translate` whose table
fills itself as characters turn up, and is then split at white space.

Character classes come from the running Python's Unicode database, as paddlenlp's do: a character that this
Python does not know yet is dropped like a control character.
"""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from typing import Any, Callable

from pipeline.errors import InputError
from pipeline.text.normalisation import decompose

KINDS = ("bert", "ernie")
SUBWORD = "subword"
"""The kind of tokeniser that reads no words; see `pipeline.text.subword`."""
TABLE_CHARACTERS = 1 << 15  # bounds a table's memory, some 5 MB, whatever callers send
CHARACTERS_PER_WORD = 8  # a first guess: how much of a long text is read for its first words

_CJK_RANGES = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)
_MORE_SYMBOLS = frozenset("\u00ad\u00b2\u00b5\u00ba\u00d8\u014b\u01b1\u3007")


@dataclasses.dataclass(frozen=True)
class TokeniserSettings:
    """How a checkpoint's tokeniser reads texts, beside its vocabulary.

    Args:
        kind: "bert" or "ernie", whose tokeniser is followed; they differ in how a special token is recognised. Or
            "subword": a tokenizer.json says how texts are read, and of what follows the special tokens alone count.
        lower_case: lower-case the text.
        strip_accents: drop combining marks after canonical decomposition.
        split_cjk: make every CJK character a word.
        unk_token, ...: the special tokens. Where a text contains one literally, it stands for itself.

    Raises:
        InputError: a value of the wrong type, or an unknown kind.
    """

    kind: str = "ernie"
    lower_case: bool = True
    strip_accents: bool = True
    split_cjk: bool = True
    unk_token: str = "[UNK]"
    pad_token: str = "[PAD]"
    cls_token: str = "[CLS]"
    sep_token: str = "[SEP]"
    mask_token: str = "[MASK]"

    def __post_init__(self) -> None:
        if self.kind not in (known := (*KINDS, SUBWORD)):
            raise InputError(f"unknown kind of tokeniser {self.kind!r}; this version knows {', '.join(known)}")
        for name in ("lower_case", "strip_accents", "split_cjk"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name} of the tokeniser must be true or false, not {getattr(self, name)!r}")
        for token in self.special_tokens:
            if not isinstance(token, str) or len(token.split()) != 1 or token != token.strip():
                raise InputError(f"a special token must be a string without white space, not {token!r}")

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """In the order in which a new vocabulary starts with them."""
        return (self.pad_token, self.unk_token, self.cls_token, self.sep_token, self.mask_token)

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Any) -> TokeniserSettings:
        """The settings that `to_json` gave.

        Raises:
            InputError: a setting is missing, unknown or wrong.
        """
        if not isinstance(values, dict):
            raise InputError(f"a JSON object is needed, not {values!r:.40}")
        names = {field.name for field in dataclasses.fields(cls)}
        if set(values) != names:
            wrong = ", ".join(sorted(names.symmetric_difference(values)))
            raise InputError(f"missing or unknown tokeniser settings: {wrong}")
        return cls(**values)


class WordSplitter:
    """Splits texts into words; its methods may be called from several threads."""

    def __init__(self, settings: TokeniserSettings) -> None:
        specials = sorted(set(settings.special_tokens), key=len, reverse=True)
        self._settings = settings
        self._special = re.compile("(" + "|".join(map(re.escape, specials)) + ")")
        self._longest_special = len(specials[0])
        self._cleaned = _Table(lambda char: _clean(char, settings))
        self._spaced = _Table(lambda char: _space(_clean(char, settings), settings))
        # BertTokenizer also keeps a word whole that cleaning turns into a special token, such as "[S\x00EP]".
        self._kept = frozenset(specials if settings.kind == "bert" else ())
        self._delicate = re.compile(self._delicate_pattern())

    def _delicate_pattern(self) -> str:
        """A pattern that every text matches in which a word as a whole, not its characters, has to be looked at."""
        if not all(token.startswith("[") for token in self._kept):
            return ""
        # Cleaning turns no other character into a bracket.
        characters = ["\\["] if self._kept else []
        if self._settings.strip_accents:
            characters += _reordered_marks()
        return f"[{''.join(characters)}]" if characters else "(?!)"

    def split(self, text: str) -> list[str]:
        """All words of `text`."""
        return self._rewrite(text).split()

    def split_first(self, count: int, text: str) -> list[str]:
        """The first `count` words of `text`, at a cost that does not grow with the rest of it."""
        # Where a text is cut short, the last words may differ: as many as a cut special token falls into.
        enough = count + self._longest_special
        size = CHARACTERS_PER_WORD * enough
        while True:
            words = self._rewrite(text[:size]).split(None, enough)
            if len(words) > enough or size >= len(text):
                return words[:count]
            size *= 4

    def split_last(self, count: int, text: str) -> list[str]:
        """The last `count` words of `text`, above 0, at a cost that does not grow with the rest of it."""
        # The first words may differ that the cut leaves: one word, or as many as a cut special token falls into.
        enough = count + self._longest_special
        size = CHARACTERS_PER_WORD * enough
        while True:
            words = self._rewrite(text[-size:]).split()
            if len(words) > enough or size >= len(text):
                return words[-count:]
            size *= 4

    def _rewrite(self, text: str) -> str:
        """`text` with its words separated by spaces."""
        pieces = self._special.split(text)  # every second piece is a special token
        pieces[::2] = map(self._rewrite_plain, pieces[::2])
        return " ".join(pieces)

    def _rewrite_plain(self, text: str) -> str:
        if not self._delicate.search(text):
            return text.translate(self._spaced)
        words = [self._without_accents(word) for word in text.translate(self._cleaned).split()]
        return " ".join(word if word in self._kept else word.translate(self._spaced) for word in words)

    def _without_accents(self, word: str) -> str:
        return _strip_accents(word) if self._settings.strip_accents else word


class _Table(dict):
    """A table for `str.translate` that learns from `rewrite` what becomes of a character."""

    def __init__(self, rewrite: Callable[[str], str]) -> None:
        super().__init__()
        self._rewrite_character = rewrite

    def __missing__(self, code: int) -> str:
        if len(self) >= TABLE_CHARACTERS:
            self.clear()
        self[code] = rewritten = self._rewrite_character(chr(code))
        return rewritten


def _clean(char: str, settings: TokeniserSettings) -> str:
    """`char` in lower case if so set, blank or dropped if it is no visible character, CJK between spaces."""
    cleaned = []
    for part in char.lower() if settings.lower_case else char:
        category = unicodedata.category(part)
        if part in "\t\n\r" or category[0] == "Z":
            cleaned.append(" ")
        elif category[0] != "C" and part != "\ufffd":
            cleaned.append(f" {part} " if settings.split_cjk and _is_cjk(ord(part)) else part)
    return "".join(cleaned)


def _space(cleaned: str, settings: TokeniserSettings) -> str:
    """`cleaned` without accents if so set, every punctuation mark and symbol between spaces."""
    if settings.strip_accents:
        cleaned = _strip_accents(cleaned)
    return "".join(f" {char} " if _is_mark(char) else char for char in cleaned)


def _strip_accents(text: str) -> str:
    """`text` in canonical decomposition without nonspacing marks."""
    return "".join(char for char in decompose(text) if unicodedata.category(char) != "Mn")


def _is_cjk(code: int) -> bool:
    return any(first <= code <= last for first, last in _CJK_RANGES)


def _is_mark(char: str) -> bool:
    """Whether `char` is punctuation or a symbol, of which ASCII's are a part."""
    return unicodedata.category(char)[0] in "PS" or char in _MORE_SYMBOLS


def _reordered_marks() -> list[str]:
    """Combining characters that stay when accents are stripped and that decomposition may reorder."""
    marks = map(chr, range(0x300, 0x20000))  # there is none beyond
    return [char for char in marks if unicodedata.combining(char) and unicodedata.category(char) != "Mn"]
