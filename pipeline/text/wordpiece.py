"""Texts to token ids by WordPiece, id for id as paddlenlp 2.8.1 reads them with a checkpoint's tokeniser files.

Equal to `BertTokenizer.from_pretrained(folder)` and `ErnieTokenizer.from_pretrained(folder)`, special tokens
that a text contains literally included: they get their own ids, as they do in paddlenlp.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from pipeline.errors import InputError
from pipeline.text.tokenisation import Tokeniser
from pipeline.text.words import TokeniserSettings, WordSplitter

VOCABULARY_FILE = "vocab.txt"

MAX_WORD_CHARACTERS = 100  # longer words are unknown, as in BERT
REMEMBERED_WORDS = 1 << 14  # bounds the memory of the words whose ids are remembered, some 3 MB


class WordPiece(Tokeniser):
    """A tokeniser of words and pieces of words.

    Args:
        vocabulary: the tokens by id, or the vocabulary file that holds one per line.
        settings: how texts are read.
        max_length: tokens that a text gets at most, the two special ones included.

    Raises:
        InputError: the vocabulary is unreadable or lacks a special token, or `max_length` is below 3.
    """

    def __init__(self, vocabulary: Sequence[str] | Path | str, settings: TokeniserSettings, max_length: int) -> None:
        place = "the vocabulary"
        if isinstance(vocabulary, (str, Path)):
            place, vocabulary = str(vocabulary), read_vocabulary(vocabulary)
        ids = {token: index for index, token in enumerate(vocabulary)}  # the last of equal tokens counts
        super().__init__(ids, place, settings, max_length)
        self.vocabulary_size = len(vocabulary)
        self._splitter = WordSplitter(settings)
        self._ids_of_word = _WordIds(ids, settings.unk_token)

    def words(self, text: str) -> list[str]:
        """All words of `text`, which tokens are pieces of."""
        return self._splitter.split(text)

    def first_tokens(self, texts: Sequence[str], count: int) -> Iterator[list[int]]:
        # Every word is at least one token.
        for text in texts:
            yield [*chain.from_iterable(map(self._ids_of_word.__getitem__, self._splitter.split_first(count, text)))]

    def last_tokens(self, text: str, count: int) -> list[int]:
        return [*chain.from_iterable(map(self._ids_of_word.__getitem__, self._splitter.split_last(count, text)))]


class _WordIds(dict):
    """Ids by word. WordPiece cuts each word by itself, so a word is looked up again and not cut again."""

    def __init__(self, ids: dict[str, int], unk_token: str) -> None:
        from tokenizers.models import WordPiece

        super().__init__()
        self._unknown = (ids[unk_token],)
        self._model = WordPiece(ids, unk_token=unk_token, max_input_chars_per_word=MAX_WORD_CHARACTERS)

    def __missing__(self, word: str) -> tuple[int, ...]:
        if len(word) > MAX_WORD_CHARACTERS:
            return self._unknown  # not worth remembering: it may be as long as a text
        if len(self) >= REMEMBERED_WORDS:
            self.clear()
        self[word] = pieces = tuple(token.id for token in self._model.tokenize(word))
        return pieces


def read_vocabulary(path: Path | str) -> list[str]:
    """The tokens of a vocabulary file by id: one per line, blank and repeated lines kept in their place.

    Raises:
        InputError: the file is absent, unreadable or not UTF-8.
    """
    # Not splitlines(): a token may hold U+2028 or another of the characters that it takes for a line's end.
    lines = _read(Path(path)).split("\n")
    return lines if lines[-1] else lines[:-1]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 at byte {error.start}; take it from the checkpoint again") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; a checkpoint's tokeniser needs it") from None
