"""The part of a large vocabulary that some texts need: multilingual models have rows for a hundred languages.

Kept are the pieces that the texts have, all pieces in the scripts that they are written in, and every single
character. So the texts keep their tokens, and so does nearly every text like them.
"""

from __future__ import annotations

import copy
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np

NEVER = "never"
"""What --trim_vocabulary takes."""
LEAST_SHARE = 0.1
"""Of all letters that a script has which the texts are written in; words in others keep the pieces that occur."""
MARK = "\u2581"
"""What SentencePiece writes for a space."""


@cache
def script(char: str) -> str:
    """A name for the script of a letter or mark; empty for what all scripts use."""
    if unicodedata.category(char)[0] not in "LM":
        return ""
    return unicodedata.name(char, "UNKNOWN").split()[0].split("-")[0]


def scripts(texts: Iterable[str]) -> set[str]:
    """Those with at least LEAST_SHARE of the letters of the texts."""
    letters = Counter(character for text in texts for character in text)
    counts: Counter[str] = Counter()
    for character, count in letters.items():
        counts[script(character)] += count
    counts.pop("", None)
    return {name for name, count in counts.items() if count >= LEAST_SHARE * counts.total()}


def pieces_to_keep(
    pieces: Sequence[str], texts: Iterable[str], occurring: Iterable[int], special: Iterable[int]
) -> np.ndarray:
    """The ids of the pieces to keep, int64, ascending.

    Args:
        pieces: all of the vocabulary, by id.
        texts: normalised.
        occurring: ids that the texts have.
        special: ids of special tokens.
    """
    used = scripts(texts)
    kept = {*occurring, *special}
    for number, piece in enumerate(pieces):
        bare = piece.replace(MARK, "")
        if len(bare) <= 1 or {script(character) for character in bare} - {""} <= used:
            kept.add(number)
    return np.array(sorted(kept), np.int64)


def renumbered(description: dict[str, Any], order: np.ndarray) -> dict[str, Any]:
    """The content of a tokenizer.json in which the token `order[i]` has the id i.

    Args:
        description: of a Unigram or BPE tokeniser whose tokens are all in its model; it is not changed.
        order: int64, ids there; of BPE all of them.
    """
    description = copy.deepcopy(description)
    model, new = description["model"], {int(old): number for number, old in enumerate(order)}
    if model["type"] == "Unigram":
        model["vocab"] = [model["vocab"][old] for old in order]
        model["unk_id"] = new[model["unk_id"]]
    else:
        model["vocab"] = {token: new[number] for token, number in model["vocab"].items()}
    description["added_tokens"] = [
        {**added, "id": new[added["id"]]} for added in description.get("added_tokens") or () if added["id"] in new
    ]
    return description


def with_added_tokens(description: dict[str, Any]) -> dict[str, Any]:
    """The same with the added tokens in its model's vocabulary, where they were not yet.

    Raises:
        ValueError: they leave a gap between the ids.
    """
    description = copy.deepcopy(description)
    vocabulary = description["model"]["vocab"]
    for added in sorted(description.get("added_tokens") or (), key=lambda added: added["id"]):
        if added["id"] > len(vocabulary):
            raise ValueError(f"{added['content']!r:.40} has the id {added['id']} of {len(vocabulary):,}")
        if added["id"] == len(vocabulary) and isinstance(vocabulary, list):
            vocabulary.append([added["content"], 0.0])
        elif added["id"] == len(vocabulary):
            vocabulary[added["content"]] = added["id"]
    return description
