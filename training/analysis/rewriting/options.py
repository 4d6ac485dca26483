"""How texts are changed into new ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError
from pipeline.option_values import AUTO
from pipeline.options import Options, option
from training.model.model_names import DEVICES

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
    device: str = option(
        AUTO,
        "what --aug_type mlm computes on; auto: a GPU where paddle sees one, else the CPU",
        choices=DEVICES,
    )
    word_file: Path | None = option(
        None, "JSON object from words to lists of substitutes (substitutes are found in the texts)"
    )
    mlm_path: Path | None = option(None, "folder of the masked language model of --aug_type mlm, as paddlenlp saves it")
    seed: int = option(3, "random seed", at_least=0)

    def check_model(self) -> None:
        """Raise InputError where a masked language model is wanted and not there, before anything slow."""
        if self.masked_words and not self.mlm_path:
            raise InputError("--aug_type mlm needs a masked language model; give its folder as --mlm_path")
        if self.masked_words and self.mlm_path and not self.mlm_path.is_dir():
            raise InputError(
                f"--mlm_path {self.mlm_path} is no folder; give a masked language model as paddlenlp saves it"
            )

    @property
    def replaces(self) -> bool:
        """Whether anything may come in for a word."""
        return self.aug_strategy in (SUBSTITUTE, INSERT, MIX)

    @property
    def masked_words(self) -> bool:
        """Whether a masked language model says what comes in."""
        return self.replaces and self.word_file is None and self.aug_type == MLM
