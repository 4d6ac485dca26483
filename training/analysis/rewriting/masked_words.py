"""Substitutes that a masked language model reads from the context."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.errors import ClassifierError, InputError
from training.analysis.rewriting.substitutes import CANDIDATES, Place
from training.analysis.rewriting.words import is_word

MAX_TOKENS = 256
BATCH = 32


class MaskedWords:
    """A masked language model in a local folder of paddlenlp.

    A Chinese word is hidden by one mask per character, any other by one mask. The model's nth guess for a word is made
    of its nth guesses for the masks.

    Args:
        folder: holds the model and its tokeniser.
        device: what to compute on.

    Raises:
        InputError: no masked language model loads from the folder.
        BundleError: its parameter file holds more than parameters, or others than such a model has.
        EnvironmentFault: the machine lacks the device.
    """

    def __init__(self, folder: Path | str, device: str) -> None:
        from training.model.device import use_device
        from training.model.folders import load_masked_words

        use_device(device)
        try:
            self._model, self._tokeniser = load_masked_words(Path(folder))
        except ClassifierError:
            raise
        except Exception as error:  # whatever paddlenlp raises
            raise InputError(f"--mlm_path {folder} does not load as a masked language model: {error}") from error

    def propose(self, places: Sequence[Place]) -> list[Sequence[str]]:
        """For each place the model's CANDIDATES best words, the one that stands there left out."""
        found: list[Sequence[str]] = []
        for start in range(0, len(places), BATCH):
            found += self._propose(places[start : start + BATCH])
        return found

    def _propose(self, places: Sequence[Place]) -> list[Sequence[str]]:
        import paddle

        rows = [self._tokens(place) for place in places]
        longest = max(len(tokens) for tokens in rows)
        tokeniser = self._tokeniser
        ids = np.full((len(rows), longest), tokeniser.pad_token_id, np.int64)
        for row, tokens in zip(ids, rows):
            row[: len(tokens)] = tokeniser.convert_tokens_to_ids(tokens)
        with paddle.no_grad():
            scores = self._model(paddle.to_tensor(ids))
        scores = (scores[0] if isinstance(scores, tuple) else scores).reshape((len(rows), longest, -1)).numpy()
        return [
            self._words(place, scores[row, [at for at, token in enumerate(tokens) if token == tokeniser.mask_token]])
            for row, (place, tokens) in enumerate(zip(places, rows))
        ]

    def _tokens(self, place: Place) -> list[str]:
        """The tokens of the text around the place, its word masked."""
        tokeniser = self._tokeniser
        masks = [tokeniser.mask_token] * (len(place.word) if _is_cjk(place.word) else 1)
        room = MAX_TOKENS - 2 - len(masks)
        before = tokeniser.tokenize("".join(place.pieces[: place.position]))[-(room // 2) :]
        after = tokeniser.tokenize("".join(place.pieces[place.position + 1 :]))[: room // 2]
        return [tokeniser.cls_token, *before, *masks, *after, tokeniser.sep_token]

    def _words(self, place: Place, scores: np.ndarray) -> list[str]:
        """Words from scores, float32 [masks, vocabulary]."""
        cjk = _is_cjk(place.word)
        guesses = []
        for row in scores:
            best = np.argsort(-row, kind="stable")[: 20 * CANDIDATES]
            tokens = self._tokeniser.convert_ids_to_tokens(best.tolist())
            guesses.append([token for token in tokens if _is_whole(token) and _is_cjk(token) == cjk])
        words = map("".join, zip(*guesses))
        return [word for word in words if word != place.word.lower()][:CANDIDATES]


def _is_whole(token: str) -> bool:
    """Whether a token is a word of its own: no special token, no piece that goes on a word."""
    return is_word(token) and token[0] not in "#["


def _is_cjk(word: str) -> bool:
    return all("\u4e00" <= char <= "\u9fff" for char in word)
