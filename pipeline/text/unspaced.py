"""Scripts that put no spaces between words, and a tokeniser of pieces learnt from texts in them.

WordPiece reads words: there a whole run would be one, and one rare character in it would make it unknown.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from pipeline.errors import InputError
from pipeline.text.words import TokeniserSettings

HAN = "\u3400-\u9fff\U00020000-\U0003ffff"
OTHERS = "\u0e00-\u0eff\u0f00-\u109f\u1780-\u17ff\u19e0-\u1aad\u3040-\u30ff\ua9e0-\ua9fe\uaa60-\uaadf"
"""Thai, Lao, Tibetan, Burmese with Shan, Khmer, New Tai Lue, Tai Tham, kana, as ranges of a pattern."""
LEAST_SHARE = 0.005
"""Of the letters and marks of the texts in OTHERS, from which words will not do."""
LEAST_COUNT, MOST_CHARACTERS = 30, 8
"""How often two pieces have to stand side by side to become one, and how long that may be: what is rarer is chance, and
phrases hide the words in them. The linear model of 1,000 and of 10,000 unspaced texts did best in these bounds."""
LEAST_CHARACTER_COUNT = 2

_OTHERS, _ANY = re.compile(f"[{OTHERS}]"), re.compile(f"[{OTHERS}{HAN}]")
_LOOKED_AT = 200


def is_unspaced(word: str) -> bool:
    """Whether a word has a letter of OTHERS, and so may be a whole sentence."""
    return bool(_OTHERS.search(word))


def share_of_unspaced(texts: Iterable[str]) -> float:
    """The share of the letters and marks of the texts that is in OTHERS; 0 where there are none."""
    characters: Counter[str] = Counter()
    for text in texts:
        characters.update(text)
    letters = {char: count for char, count in characters.items() if unicodedata.category(char)[0] in "LM"}
    unspaced = sum(count for char, count in letters.items() if _OTHERS.match(char))
    return unspaced / max(1, sum(letters.values()))


def learn_pieces(texts: Sequence[str], size: int, settings: TokeniserSettings) -> dict[str, Any]:
    """The content of a tokenizer.json: byte-pair encoding of the characters of the texts, for `Subword`.

    The same texts, in whatever order, give the same content. Ids begin with the special tokens. Letters and numbers
    are read in lower case, marks of punctuation stand alone, and a character that is not known is one unknown token.

    Args:
        texts: normalised.
        size: tokens at most.
        settings: of which `lower_case` and the special tokens are used.

    Raises:
        InputError: `size` has no room for the special tokens and a character.
    """
    from tokenizers import Tokenizer, normalizers, pre_tokenizers
    from tokenizers.models import BPE
    from tokenizers.trainers import BpeTrainer

    specials = [*dict.fromkeys(settings.special_tokens)]
    if size <= len(specials):
        raise InputError(f"a vocabulary of {size} has no room beside its {len(specials)} special tokens")
    tokeniser = Tokenizer(BPE(unk_token=settings.unk_token))
    tokeniser.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=settings.lower_case
    )
    tokeniser.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.BertPreTokenizer(), pre_tokenizers.Digits()])
    counts = Counter(char for text in texts for char in tokeniser.normalizer.normalize_str(text))
    frequent = sum(count >= LEAST_CHARACTER_COUNT for char, count in counts.items() if not char.isspace())
    trainer = BpeTrainer(
        vocab_size=size,
        min_frequency=LEAST_COUNT,
        max_token_length=MOST_CHARACTERS,
        limit_alphabet=min(max(1, frequent), size - len(specials)),
        special_tokens=specials,
        show_progress=False,
    )
    tokeniser.train_from_iterator(sorted(texts), trainer)
    content = json.loads(tokeniser.to_str())
    return {**content, "added_tokens": []}  # no text may be cut into special tokens


def mostly_unspaced(texts: Sequence[str]) -> bool:
    """Whether more than half of the first texts are in a script that puts no spaces between words, Han included."""
    first = texts[:_LOOKED_AT]
    return 2 * sum(bool(_ANY.search(text)) for text in first) > len(first)
