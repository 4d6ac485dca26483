"""The options of training, validated when made, without importing paddle."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError
from pipeline.files.checksums import check_replaceable
from pipeline.files.dataset import DATA_FILE
from pipeline.metrics.threshold_tuning import MODES
from pipeline.options import option
from pipeline.text.normalisation import DEFAULT_NORMALISATION, NORMALISATIONS
from training.checkpoint.files import RECORD_FILE, read_checkpoint
from training.model.model_names import PRETRAINED, SCRATCH, check_model_name
from training.model.pretrained.trimming import AUTO, NEVER
from training.options import RunOptions, SeedOptions

LOSSES = ("bce", "zlpr")
ORIGINAL = "original"
CHOSEN = ("epochs", "learning_rate", "batch_size", "warmup", "warmup_steps", "max_seq_length")
"""What a recipe chooses."""


@dataclass(frozen=True)
class LoopOptions(SeedOptions):
    """How the training loop goes, whatever it learns from."""

    batch_size: int = option(32, "texts per training step and process", at_least=1)
    learning_rate: float = option(3e-5, "peak learning rate", above=0)
    head_learning_rate: float | None = option(None, "peak learning rate of the classifier (--learning_rate)", above=0)
    epochs: int = option(10, "passes over the training rows", at_least=1)
    early_stop: bool = option(False, "stop when the result on dev no longer improves")
    early_stop_nums: int = option(10, "epochs without improvement after which --early_stop stops", at_least=1)
    logging_steps: int | None = option(
        None, "steps between further lines with loss, F1 on the rows of the epoch so far, and speed", at_least=1
    )
    save_steps: int | None = option(
        None, "steps after which the training state is written, besides after each epoch", at_least=1
    )
    weight_decay: float = option(0.0, "decay of all parameters but biases and normalisation layers", at_least=0)
    warmup: bool = option(False, "let the learning rate grow from 0 over --warmup_steps")
    warmup_steps: int = option(0, "steps that --warmup takes", at_least=0)
    loss: str = option("bce", "what is minimised: binary cross-entropy, or ZLPR (arXiv 2208.02955)", choices=LOSSES)
    hierarchy_weight: float = option(0.0, "weight of a penalty for a child scored above its parent", at_least=0)
    thresholds: str = option(
        "fixed",
        "how thresholds are chosen: 0.5 and the policy `ancestors`; or one threshold and a policy tuned on dev; or a "
        "threshold per label",
        choices=MODES,
    )
    at_least_one: bool = option(False, "let the decoding give every text at least one label")
    freeze_layers: int | None = option(
        None, "keep the embeddings and so many of the lowest encoder layers as they are", at_least=0
    )
    average_weights: float = option(
        0.0, "decay of a running average of the weights, which is what is kept; 0 for none", at_least=0, below=1
    )
    token_dropout: float = option(0.0, "share of the tokens that each training step hides", at_least=0, below=1)

    @property
    def patience_epochs(self) -> int | None:
        """Epochs without a better result after which training stops; None never stops early."""
        return self.early_stop_nums if self.early_stop else None

    @property
    def rising_steps(self) -> int:
        """Steps over which the learning rate grows from 0 to its peak."""
        return self.warmup_steps if self.warmup else 0


@dataclass(frozen=True)
class TrainingRun(LoopOptions, RunOptions):
    """What to train, on what, and where the best model is kept."""

    save_dir: Path = option("./checkpoint", "where the best model is kept", in_run="checkpoint")
    model_name: str = option(
        "ernie-3.0-medium-zh",
        f"encoder to start from: {', '.join(PRETRAINED)}; {', '.join(SCRATCH)}, which train from nothing; or a local "
        "folder, such as `make e5` fetches",
    )
    trim_vocabulary: str = option(
        AUTO,
        "whether a vocabulary of many languages is cut down to the texts at hand and their scripts",
        choices=(AUTO, NEVER),
    )
    recipe: str | None = option(
        None,
        f"what chooses {', '.join(f'--{name}' for name in CHOSEN)} where they are not given: auto: the data and the "
        "encoder; original: the defaults that stand here (auto where none of them is given)",
        choices=(AUTO, ORIGINAL),
    )
    max_seq_length: int = option(128, "tokens per text; the rest is cut off", at_least=3, at_most=2048)
    init_from_ckpt: Path | None = option(None, "parameters to start from, e.g. checkpoint/model_state.pdparams")
    teachers: tuple[Path, ...] | None = option(
        None,
        "answers of other models to unlabelled texts, to learn from their mean: predict.py --format jsonl "
        "--policy threshold --threshold 0.001",
        metavar="FILE",
    )
    unlabelled_file: str = option(DATA_FILE, "texts in --dataset_dir that scratch models learn words from")
    normalisation: str = option(DEFAULT_NORMALISATION, "normalisation of every text", choices=tuple(NORMALISATIONS))

    @property
    def real_save_dir(self) -> Path:
        """`save_dir`, or the folder that it leads to as a link: what a run keeps beside its model lies there, too."""
        return Path(os.path.realpath(self.save_dir))

    @property
    def follows_recipe(self) -> bool:
        """Whether the data and the encoder choose what is not given."""
        return self.recipe == AUTO or (self.recipe is None and not self.given(*CHOSEN))

    def check_inputs(self, *further: str) -> None:
        """Raise InputError where a name, a folder or a file that is given cannot be used, before anything slow."""
        check_model_name(self.model_name)
        check_replaceable(self.save_dir, "--save_dir", RECORD_FILE)
        asked = self.model_name in SCRATCH and self.unlabelled_file != DATA_FILE  # data.txt may be absent
        super().check_inputs(*further, *[self.unlabelled_file] * asked)
        if self.init_from_ckpt and not self.init_from_ckpt.is_file():
            raise InputError(f"--init_from_ckpt {self.init_from_ckpt} does not exist")
        if self.init_from_ckpt:
            read_checkpoint(self.init_from_ckpt)
