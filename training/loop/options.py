"""The options of training, validated when made, without importing paddle."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError
from pipeline.files.checksums import check_replaceable
from pipeline.files.dataset import DATA_FILE, read_labels
from pipeline.metrics.threshold_tuning import MODES
from pipeline.option_values import AUTO
from pipeline.options import option
from pipeline.text.long_texts import (
    FIRST,
    HEAD_TAIL,
    LARGEST_MOST_WINDOWS,
    MAX,
    MOST_WINDOWS,
    POOLS,
    WAYS,
    WINDOWS,
    LongTexts,
)
from pipeline.text.normalisation import DEFAULT_NORMALISATION, NORMALISATIONS
from training.checkpoint.files import RECORD_FILE, read_checkpoint
from training.label_changes.starting import starting_columns
from training.model.model_names import DOCUMENTED, LINEAR, SCRATCH, check_model_name
from training.model.pretrained.trimming import NEVER
from training.options import RunOptions, SeedOptions

LOSSES = ("bce", "zlpr")
ORIGINAL = "original"
ALWAYS = "always"
CHOSEN = ("epochs", "learning_rate", "batch_size", "warmup", "warmup_steps", "max_seq_length")
"""What a recipe chooses; who gives one of these gets the defaults of all."""
CHOSEN_BESIDE = ("weight_decay", "head_learning_rate", "freeze_layers")
"""What a recipe chooses besides, of encoders that were pretrained without a pooler."""


@dataclass(frozen=True)
class LoopOptions(SeedOptions):
    """How the training loop goes, whatever it learns from."""

    batch_size: int = option(32, "texts per training step and process", at_least=1)
    learning_rate: float = option(3e-5, "peak learning rate", above=0)
    head_learning_rate: float | None = option(None, "peak learning rate of the classifier (--learning_rate)", above=0)
    layer_decay: float | None = option(
        None, "what the learning rate is multiplied by from each encoder layer to the one below (1)", above=0, at_most=1
    )
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
    warmup: bool | None = option(None, "let the learning rate grow from 0 over --warmup_steps")
    warmup_steps: int = option(0, "steps that --warmup takes", at_least=0)
    loss: str = option("bce", "what is minimised: binary cross-entropy, or ZLPR (arXiv 2208.02955)", choices=LOSSES)
    hierarchy_weight: float = option(0.0, "weight of a penalty for a child scored above its parent", at_least=0)
    thresholds: str = option(
        "fixed",
        "how thresholds are chosen: 0.5 and the policy `ancestors`; or one threshold and a policy tuned on dev; or a "
        "threshold per label",
        choices=MODES,
    )
    linear: str = option(
        AUTO,
        "whether a linear model of the texts' n-grams joins the encoder at the end: where both together are better on "
        "dev, never, or always",
        choices=(AUTO, NEVER, ALWAYS),
    )
    at_least_one: bool = option(False, "let the decoding give every text at least one label")
    freeze_layers: int | None = option(
        None, "keep the embeddings and so many of the lowest encoder layers as they are", at_least=0
    )
    frozen_gigabytes: float = option(
        20.0,
        "gigabytes of disk that what frozen layers make of the texts may take, so that it is computed once; 0: it is "
        "computed in each epoch",
        at_least=0,
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
    def tuning(self) -> tuple[str, bool]:
        """How a decoder is chosen, as `pipeline.metrics.threshold_tuning.tuned_scores` takes it."""
        return self.thresholds, self.at_least_one

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
        f"encoder to start from: {', '.join(DOCUMENTED)}, or another BERT, ERNIE or RoBERTa that paddlenlp knows by "
        f"name; {', '.join(SCRATCH)}, which train from nothing; a local folder, such as `make e5` fetches; or {LINEAR}"
        ", which is a linear model of n-grams without an encoder",
    )
    trim_vocabulary: str = option(
        AUTO,
        "whether a vocabulary of many languages is cut down to the texts at hand and their scripts",
        choices=(AUTO, NEVER),
    )
    recipe: str | None = option(
        None,
        f"what chooses {', '.join(f'--{name}' for name in CHOSEN)} where they are not given: auto: the data and the "
        "encoder, of which some need further values; original: the defaults that stand here (auto where none of them "
        "is given)",
        choices=(AUTO, ORIGINAL),
    )
    max_seq_length: int = option(
        128,
        "tokens that the model takes at once; --long_texts says what is read of a longer text",
        at_least=3,
        at_most=2048,
    )
    long_texts: str = option(
        FIRST,
        f"what is read of texts with more tokens: {FIRST}: the first; {HEAD_TAIL}: the first half and the last half; "
        f"{WINDOWS}: all of them, in windows that overlap, for as many times the cost",
        choices=WAYS,
    )
    max_windows: int = option(
        MOST_WINDOWS,
        f"of --long_texts {WINDOWS}: windows per text; the rest is cut off",
        at_least=1,
        at_most=LARGEST_MOST_WINDOWS,
    )
    pool_windows: str = option(
        AUTO,
        f"of --long_texts {WINDOWS}: which of their logits counts for a label: the largest, or the mean; auto: what is "
        "better on dev, after training by the largest",
        choices=(AUTO, *POOLS),
    )
    init_from_ckpt: Path | None = option(None, "parameters to start from, e.g. checkpoint/model_state.pdparams")
    label_map: tuple[str, ...] = option(
        (),
        "a label that --init_from_ckpt has under another path, OLD=NEW, whose rows NEW starts from; may be repeated",
        metavar="OLD=NEW",
        repeated=True,
    )
    teachers: tuple[Path, ...] | None = option(
        None,
        "answers of other models to unlabelled texts, to learn from their mean: predict.py --format jsonl "
        "--policy threshold --threshold 0.001",
        metavar="FILE",
    )
    unlabelled_file: str = option(DATA_FILE, "texts in --dataset_dir that scratch models learn words from")
    normalisation: str = option(DEFAULT_NORMALISATION, "normalisation of every text", choices=tuple(NORMALISATIONS))

    @property
    def reading(self) -> LongTexts:
        """What is read of long texts, pooled as in training."""
        return LongTexts(self.long_texts, self.pools[0], self.max_windows)

    @property
    def pools(self) -> tuple[str, ...]:
        """How windows may be pooled; of several the first counts in training, and the one best on dev is kept."""
        if self.long_texts != WINDOWS:
            return (MAX,)
        return POOLS if self.pool_windows == AUTO else (self.pool_windows,)

    def check(self) -> None:
        super().check()
        if self.label_map and not self.init_from_ckpt:
            raise InputError("--label_map tells what labels of --init_from_ckpt are called now; give that as well")
        unused = [name for name in self.given("max_windows", "pool_windows") if self.long_texts != WINDOWS]
        if unused:
            raise InputError(f"--{unused[0]} is for --long_texts {WINDOWS}; give that, too, or leave it out")

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
        asked = self.model_name in SCRATCH and bool(self.given("unlabelled_file"))  # data.txt may be absent
        super().check_inputs(*further, *[self.unlabelled_file] * asked)
        if self.init_from_ckpt and not self.init_from_ckpt.is_file():
            raise InputError(f"--init_from_ckpt {self.init_from_ckpt} does not exist")
        if self.init_from_ckpt:
            known = read_checkpoint(self.init_from_ckpt).hierarchy
            if self.label_map:
                starting_columns(known, read_labels(self.folder / self.label_file), self.label_map)
