"""From raw texts to token ids: check, normalise, tokenise. Training and every server use this one way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.errors import InputError
from pipeline.tensors import PAD_ID
from pipeline.text.linear import MOST_CHARACTERS, LinearPart
from pipeline.text.long_texts import LongTexts
from pipeline.text.normalisation import check_text, normalise, require_list
from pipeline.text.tokenisation import Encoded, Tokeniser


class TextEncoder:
    """Encodes texts for one model.

    Args:
        normalisation: a name of `pipeline.text.normalisation.NORMALISATIONS`.
        tokeniser: the model's tokeniser; its maximum length is what the model takes at once.
        linear: the model's linear part, if it has one.
        reads_tokens: whether there is an encoder that token ids are for; without one they say nothing.
        long_texts: what is read of texts that are longer.

    Attributes:
        linear, reads_tokens: as given.
        most_tokens: ids that a text has at most, [CLS] and [SEP] included.

    Raises:
        InputError: the vocabulary's padding token is not the one that batches are filled up with.
    """

    def __init__(
        self,
        normalisation: str,
        tokeniser: Tokeniser,
        linear: LinearPart | None = None,
        reads_tokens: bool = True,
        long_texts: LongTexts = LongTexts(),
    ) -> None:
        if tokeniser.pad_id != PAD_ID:
            raise InputError(f"the vocabulary's padding token has id {tokeniser.pad_id}; only {PAD_ID} is supported")
        self.normalisation, self.tokeniser, self.long_texts = normalisation, tokeniser, long_texts
        self.linear, self.reads_tokens = linear, reads_tokens
        length = tokeniser.max_length
        self.most_tokens = long_texts.most_tokens(length)
        self._reader = tokeniser.with_length(self.most_tokens, long_texts.last_tokens(length))

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Token ids of each text, int64 [length], [CLS] and [SEP] included, `most_tokens` at most.

        Raises:
            InputError: a text is empty or too long; the message names its row.
        """
        self.check(texts)
        return self._tokens([normalise(text, self.normalisation) for text in texts]).ids

    def words(self, text: str) -> str:
        """All words of `text`, between spaces: texts that share them are one to the model."""
        return " ".join(self.tokeniser.words(normalise(text, self.normalisation)))

    def check(self, texts: Sequence[str]) -> None:
        """Raise InputError where `encode` would, or for what is no list of texts."""
        require_list(texts)
        for row, text in enumerate(texts):
            check_text(text, row)

    def encode_checked(self, texts: Sequence[str]) -> Encoded:
        """As `encode`, of texts that passed `check`, which of them were truncated, and what the linear part says."""
        normalised = [normalise(text, self.normalisation) for text in texts]
        encoded = self._tokens(normalised)
        if self.linear is None:
            return encoded
        beyond = np.array([len(text) > MOST_CHARACTERS for text in normalised], bool)
        return encoded._replace(linear=self.linear.logits(normalised), truncated=encoded.truncated | beyond)

    def _tokens(self, normalised: Sequence[str]) -> Encoded:
        if self.reads_tokens:
            return self._reader.encode_flagged(normalised)
        return Encoded(self.tokeniser.encode([""]) * len(normalised), np.zeros(len(normalised), bool))
