"""The options of the training loop, validated when made, without importing paddle."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pipeline.errors import InputError

DEVICES = ("cpu", "gpu", "xpu", "npu")
LOSSES = ("bce", "zlpr")


@dataclass(frozen=True)
class TrainingOptions:
    """How to train.

    Attributes:
        learning_rate: its peak.
        batch_size: texts per step.
        epochs: passes over the training rows, at most.
        warmup_steps: steps over which the learning rate grows from 0 to its peak; 0 for none.
        weight_decay: decoupled decay of all parameters but biases and normalisation layers.
        patience_epochs: stop after so many epochs without a better result; None never stops early.
        logging_steps: steps between lines of the log.
        save_steps: steps between writings of the training state, which is also written after each epoch; None writes
            it then only.
        loss: one of LOSSES.
        hierarchy_weight: of the penalty for a child scored above its parent; 0 for none.
        thresholds: how they are chosen, one of `pipeline.metrics.threshold_tuning.MODES`.
        freeze_layers: how many of the lowest encoder layers stay as they are, and the embeddings with them; None
            trains everything.
        average_weights: what is evaluated and kept is the exponential average of the parameters with this decay; 0
            for the parameters themselves.
        start_competes: whether the parameters that training starts from count as a first result.
        token_dropout: share of a step's tokens that are replaced by [MASK]; in [0, 1).
        seed: of the batches' order.

    Raises:
        InputError: a value that cannot be meant.
    """

    learning_rate: float
    batch_size: int
    epochs: int
    warmup_steps: int = 0
    weight_decay: float = 0.0
    patience_epochs: int | None = None
    logging_steps: int = 5
    save_steps: int | None = None
    loss: str = "bce"
    hierarchy_weight: float = 0.0
    thresholds: str = "fixed"
    freeze_layers: int | None = None
    average_weights: float = 0.0
    start_competes: bool = False
    token_dropout: float = 0.0
    seed: int = 3

    def __post_init__(self) -> None:
        for name in ("learning_rate", "batch_size", "epochs", "logging_steps", "save_steps"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise InputError(f"--{name} is {value}; it must be above 0")
        for name in ("warmup_steps", "weight_decay", "hierarchy_weight", "freeze_layers"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise InputError(f"--{name} is {value}; it must not be negative")
        if self.patience_epochs is not None and self.patience_epochs < 1:
            raise InputError(f"--early_stop_nums is {self.patience_epochs}; it must be at least 1")
        if not 0 <= self.seed < 1 << 32:
            raise InputError(f"--seed is {self.seed}; give 0 to {(1 << 32) - 1}")
        for name in ("token_dropout", "average_weights"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"--{name} is {getattr(self, name)}; it must be at least 0 and below 1")
