"""Unigram's tokens part by part: a text is cut where no piece could lie across, and parts are remembered.

That gives the tokens of the whole text, since the best way through it leads through every such place, and takes a
fraction of the time: the same parts come again and again.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Container, Mapping
from typing import Any

SPACE = "\u2581"
"""What SentencePiece writes for a space."""
REMEMBERED_PARTS = 1 << 15  # bounds their memory, some 8 MB
MOST_REMEMBERED_CHARACTERS = 32

_PLAIN_PATTERN = re.compile(r"\[[^\[\]\\^&]+\]| \{2,\}")
"""A class of characters, or several spaces: they mean the same to Python and to the library."""


def segmenter(description: Mapping[str, Any], tokenizer: Any) -> Callable[[str], list[int]] | None:
    """A function from a text to all of its token ids, where a tokeniser is simple enough; else None.

    Args:
        description: the content of its tokenizer.json.
        tokenizer: of the library `tokenizers`, made of that.
    """
    model, pre_tokeniser = description["model"], description.get("pre_tokenizer") or {}
    simple = (
        model["type"] == "Unigram"
        and not model.get("byte_fallback")
        and pre_tokeniser.get("type") == "Metaspace"
        and pre_tokeniser.get("replacement") == SPACE
        and pre_tokeniser.get("prepend_scheme") in ("always", "first")
        and pre_tokeniser.get("split", True)
        and not description.get("added_tokens")
    )
    if not simple:
        return None
    return _Segmenter([piece for piece, _ in model["vocab"]], tokenizer, description.get("normalizer"))


def _stays(normaliser: Mapping[str, Any] | None) -> Callable[[str], bool]:
    """Whether a normaliser surely leaves a text as it is: nearly every text, and quicker to see than to do."""
    steps = normaliser.get("normalizers", [normaliser]) if normaliser else []
    forms, patterns = [], []
    for step in steps:
        pattern = step.get("pattern", {}).get("Regex", "") if step["type"] == "Replace" else ""
        if step["type"] in ("NFC", "NFKC"):
            forms.append(step["type"])
        elif _PLAIN_PATTERN.fullmatch(pattern):
            patterns.append(pattern)
        else:
            return lambda text: False
    changed = re.compile("|".join(patterns) or "(?!)").search
    return lambda text: not changed(text) and all(unicodedata.is_normalized(form, text) for form in forms)


class _Segmenter:
    def __init__(self, pieces: list[str], tokenizer: Any, normalisation: Mapping[str, Any] | None) -> None:
        known = frozenset(piece for piece in pieces if len(piece) == 1)
        follow: defaultdict[str, set[str]] = defaultdict(set)
        for piece in pieces:
            for char, following in zip(piece, piece[1:]):
                if following != SPACE:  # a word ends before each
                    follow[char].add(following)
        self._follow: dict[str, Container[str]] = dict.fromkeys(known, frozenset())
        for char, next_ones in follow.items():
            self._follow[char] = frozenset(next_ones) if char in known else _AfterUnknown(known, frozenset(next_ones))
        self._after_unknown = _AfterUnknown(known, frozenset())
        normaliser = tokenizer.normalizer
        self._stays = _stays(normalisation)
        self._normalise: Callable[[str], str] = normaliser.normalize_str if normaliser else str
        self._ids_of_part = _PartIds(tokenizer.model)

    def __call__(self, text: str) -> list[int]:
        if not self._stays(text):
            text = self._normalise(text)
        text = text.replace(" ", SPACE)
        if not text:
            return []
        if text[0] != SPACE:
            text = SPACE + text
        follow, ids_of_part, unknown = self._follow.get, self._ids_of_part, self._after_unknown
        ids: list[int] = []
        part, joined = text[0], follow(text[0], unknown)
        for char in text[1:]:
            if char in joined:
                part += char
            else:
                ids += ids_of_part[part]
                part = char
            joined = follow(char, unknown)
        ids += ids_of_part[part]
        return ids


class _AfterUnknown:
    """What is not to be cut from an unknown character: another one, since both are one unknown token; and `joined`."""

    def __init__(self, known: frozenset[str], joined: frozenset[str]) -> None:
        self._known, self._joined = known, joined

    def __contains__(self, char: object) -> bool:
        return char not in self._known or char in self._joined


class _PartIds(dict):
    """Ids by part of a text."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self._model = model

    def __missing__(self, part: str) -> tuple[int, ...]:
        ids = tuple(token.id for token in self._model.tokenize(part))
        if len(part) <= MOST_REMEMBERED_CHARACTERS:
            if len(self) >= REMEMBERED_PARTS:
                self.clear()
            self[part] = ids
        return ids
