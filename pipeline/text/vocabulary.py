"""Builds a vocabulary from texts, for models that are trained from scratch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pipeline.errors import InputError
from pipeline.text.words import TokeniserSettings, WordSplitter

CONTINUATION = "##"


def build_vocabulary(
    texts: Iterable[str], size: int, settings: TokeniserSettings | None = None, min_count: int = 2
) -> list[str]:
    """A WordPiece vocabulary: the same texts, in whatever order, give the same vocabulary.

    It begins with the special tokens, [PAD] being 0; then come the characters seen at least `min_count` times,
    the most frequent first, as `x` where they begin a word and `##x` where they continue one; then the pieces
    that WordPiece learns from the words.

    Args:
        texts: normalised texts, read once.
        size: tokens at most; there are fewer where the texts give no more.
        settings: how the tokeniser will read texts.
        min_count: characters and pairs of pieces seen less often are left out.

    Raises:
        InputError: `size` has no room for the special tokens and a character.
    """
    settings = settings or TokeniserSettings()
    specials = list(dict.fromkeys(settings.special_tokens))
    if size <= len(specials):
        raise InputError(f"a vocabulary of {size} has no room beside its {len(specials)} special tokens")
    splitter = WordSplitter(settings)
    words: Counter[str] = Counter()
    for text in texts:
        words.update(splitter.split(text))
    for token in specials:  # one that a text contains literally
        words.pop(token, None)
    characters = _frequent_characters(words, min_count)[: size - len(specials)]
    kept = specials + characters
    return kept + _learn_pieces(words, kept, size, min_count)


def _frequent_characters(words: Counter[str], min_count: int) -> list[str]:
    counts: Counter[str] = Counter()
    for word, count in words.items():
        for character in _characters(word):
            counts[character] += count
    frequent = [character for character, count in counts.items() if count >= min_count]
    return sorted(frequent, key=lambda character: (-counts[character], character))


def _characters(word: str) -> list[str]:
    return [word[0], *(CONTINUATION + character for character in word[1:])]


def _learn_pieces(words: Counter[str], kept: list[str], size: int, min_count: int) -> list[str]:
    """Pieces of two characters and more, in the order in which they were learnt."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from tokenizers.trainers import WordPieceTrainer

    known = set(kept)
    learnable = sorted(word for word in words if len(word) > 1 and known.issuperset(_characters(word)))
    # The trainer takes a continuing character only together with the bare one.
    bare = sorted(set().union(*learnable) - known)
    tokenizer = Tokenizer(WordPiece())
    tokenizer.pre_tokenizer = WhitespaceSplit()
    # Left to itself it numbers continuing characters in no fixed order, and breaks ties by these numbers.
    trainer = WordPieceTrainer(
        vocab_size=size + len(bare),
        min_frequency=min_count,
        special_tokens=kept + bare,
        continuing_subword_prefix=CONTINUATION,
        show_progress=False,
    )
    tokenizer.train_from_iterator((" ".join([word] * words[word]) for word in learnable), trainer)
    ids = tokenizer.get_vocab(with_added_tokens=False)
    return sorted(ids.keys() - known.union(bare), key=ids.__getitem__)
