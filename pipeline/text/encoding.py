"""From raw texts to token ids: check, normalise, tokenise. Training and every server use this one way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.errors import InputError
from pipeline.tensors import PAD_ID
from pipeline.text.normalisation import check_text, normalise
from pipeline.text.tokenisation import Encoded, Tokeniser


class TextEncoder:
    """Encodes texts for one model.

    Args:
        normalisation: a name of `pipeline.text.normalisation.NORMALISATIONS`.
        tokeniser: the model's tokeniser.

    Attributes:
        cut: how many of the texts that `encode` was given so far were longer than the model reads.

    Raises:
        InputError: the vocabulary's padding token is not the one that batches are filled up with.
    """

    def __init__(self, normalisation: str, tokeniser: Tokeniser) -> None:
        if tokeniser.pad_id != PAD_ID:
            raise InputError(f"the vocabulary's padding token has id {tokeniser.pad_id}; only {PAD_ID} is supported")
        self.normalisation, self.tokeniser = normalisation, tokeniser
        self.cut = 0

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Token ids of each text, int64 [length], [CLS] and [SEP] included, truncated to the maximum length.

        Raises:
            InputError: a text is empty or too long; the message names its row.
        """
        self.check(texts)
        encoded = self.encode_checked(texts)
        self.cut += int(encoded.truncated.sum())
        return encoded.ids

    def words(self, text: str) -> str:
        """All words of `text`, between spaces: texts that share them are one to the model."""
        return " ".join(self.tokeniser.words(normalise(text, self.normalisation)))

    def check(self, texts: Sequence[str]) -> None:
        """Raise InputError where `encode` would."""
        for row, text in enumerate(texts):
            check_text(text, row)

    def encode_checked(self, texts: Sequence[str]) -> Encoded:
        """As `encode`, of texts that passed `check`, and which of them were truncated."""
        return self.tokeniser.encode_flagged([normalise(text, self.normalisation) for text in texts])
