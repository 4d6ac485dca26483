"""How texts are changed into new ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.options import Options, option
from training.options import DEVICES

SUBSTITUTE, INSERT, DELETE, SWAP, MIX = "substitute", "insert", "delete", "swap", "mix"
CHANGES = (SUBSTITUTE, INSERT, DELETE, SWAP)
STRATEGIES = (MIX, *CHANGES)
SYNONYM, HOMONYM, MLM = "synonym", "homonym", "mlm"
TYPES = (SYNONYM, HOMONYM, MLM)


@dataclass(frozen=True)
class AugmentationOptions(Options):
    """What is done to words, to how many, and what comes in for them; the same seed and rows give the same texts."""

    aug_strategy: str = option(
        SUBSTITUTE, "what is done to words; mix draws one of the others for each new row", choices=STRATEGIES
    )
    aug_type: str = option(SYNONYM, "what comes in for a word", choices=TYPES)
    create_n: int = option(2, "new rows of each given one, at most", at_least=1)
    aug_percent: float = option(0.1, "share of the words to change, one word at least", above=0, at_most=1)
    device: str = option("gpu", "what --aug_type mlm computes on", choices=DEVICES)
    word_file: Path | None = option(
        None, "JSON object from words to lists of substitutes (substitutes are found in the texts)"
    )
    mlm_path: Path | None = option(None, "folder of the masked language model of --aug_type mlm, as paddlenlp saves it")
    seed: int = option(3, "random seed", at_least=0)
