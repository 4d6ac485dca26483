"""What a word can be replaced by: lists from a file, words in like contexts, words of like sound."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from pipeline.errors import InputError
from pipeline.records import parse_json
from training.analysis.progress import progress
from training.analysis.rewriting.words import Segmenter, is_word
from training.model.context_embeddings import FIRST_ORDINARY_ID, context_embeddings

CANDIDATES = 5
LEAST_COUNT = 5
LEAST_COSINE = 0.5
VOCABULARY = 20_000
TEXTS = 100_000
WIDTH = 128


class Place(NamedTuple):
    """A word in a text: the pieces of the text and which of them it is."""

    pieces: Sequence[str]
    position: int

    @property
    def word(self) -> str:
        return self.pieces[self.position]


class Substitutes(Protocol):
    """Where substitutes come from."""

    def propose(self, places: Sequence[Place]) -> list[Sequence[str]]:
        """For each place words that could stand there, best first; none where none is known."""
        ...


class WordList:
    """Substitutes that depend on the word alone.

    Args:
        lists: of each word.
    """

    def __init__(self, lists: Mapping[str, Sequence[str]]) -> None:
        self.lists = lists

    def propose(self, places: Sequence[Place]) -> list[Sequence[str]]:
        return [self.lists.get(place.word, ()) for place in places]


def read_word_list(path: Path | str) -> WordList:
    """The list in a JSON file: an object from words to lists of words.

    Raises:
        InputError: the file is missing or holds something else.
    """
    try:
        lists = parse_json(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path} is no JSON: {error}") from error
    wanted = 'give an object of lists, such as {"裁员": ["减员", "裁人"]}'
    if not isinstance(lists, dict):
        raise InputError(f"{path} holds no JSON object; {wanted}")
    for word, others in lists.items():
        if not isinstance(others, list) or not all(isinstance(other, str) and _is_usable(other) for other in others):
            raise InputError(f"{path}: the entry of {word!r} is no list of words on one line; {wanted}")
    return WordList(lists)


def _is_usable(word: str) -> bool:
    return bool(word.strip()) and not set(word) & set("\t\n\r")


def like_contexts(texts: Iterable[str], segment: Segmenter, seed: int) -> WordList:
    """For each word those that stand in the most similar contexts in `texts`, its synonyms among them.

    Of at most TEXTS texts, words that occur LEAST_COUNT times; vectors as in
    `training.model.context_embeddings`; neighbours of a cosine of at least LEAST_COSINE.
    """
    from training.analysis.evidence.neighbours import nearest

    rows = _segmented(texts, segment)
    words = _frequent(rows, LEAST_COUNT)
    if len(words) < 3:
        return WordList({})
    ids = {word: number for number, word in enumerate(words, start=FIRST_ORDINARY_ID)}
    encoded = [np.array([ids.get(piece, 0) for piece in pieces], np.int64) for pieces in rows]
    vectors = context_embeddings(encoded, FIRST_ORDINARY_ID + len(words), WIDTH, np.random.default_rng(seed))
    vectors = vectors[FIRST_ORDINARY_ID:]
    lists = {}
    for word, near, cosines in zip(words, *nearest(vectors, vectors, CANDIDATES + 1)):
        lists[word] = [
            words[other] for other, cosine in zip(near, cosines) if words[other] != word and cosine >= LEAST_COSINE
        ]
    return WordList(lists)


def like_sounds(texts: Iterable[str], segment: Segmenter) -> WordList:
    """For each Chinese word others of the same pinyin, tones aside, that occur in `texts`, frequent ones first.

    Where there is no such word, its first character is replaced by one that sounds alike.
    """
    from pypinyin import lazy_pinyin

    rows = _segmented(texts, segment)
    words = _frequent(rows, 1)
    characters = [[char for word in words for char in word]]
    by_sound: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for word in dict.fromkeys([*words, *_frequent(characters, LEAST_COUNT)]):
        if "\u4e00" <= word[0] <= "\u9fff":
            by_sound[tuple(lazy_pinyin(word))].append(word)
    lists: dict[str, list[str]] = {}
    for word in words:
        sound = tuple(lazy_pinyin(word))
        alike = [other for other in by_sound.get(sound, ()) if other != word and len(other) == len(word)]
        if not alike and len(word) > 1:
            alike = [other + word[1:] for other in by_sound.get(sound[:1], ()) if len(other) == 1 and other != word[0]]
        lists[word] = alike[:CANDIDATES]
    return WordList(lists)


def _segmented(texts: Iterable[str], segment: Segmenter) -> list[list[str]]:
    """The pieces of the first TEXTS texts, white space left out."""
    some = progress(itertools.islice(texts, TEXTS), desc="words", unit="text")
    return [[piece for piece in segment(text) if not piece.isspace()] for text in some]


def _frequent(rows: Iterable[Sequence[str]], least: int) -> list[str]:
    """The VOCABULARY most frequent words, equally frequent ones in their order of appearance."""
    counts = Counter(piece for pieces in rows for piece in pieces if is_word(piece))
    return [word for word, count in counts.most_common(VOCABULARY) if count >= least]
