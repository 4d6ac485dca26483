"""The options of the training loop, validated when made, without importing paddle."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import InputError

DEVICES = ("cpu", "gpu", "xpu", "npu")


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
        logging_steps: steps between updates of the progress shown.
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
    token_dropout: float = 0.0
    seed: int = 3

    def __post_init__(self) -> None:
        for name in ("learning_rate", "batch_size", "epochs", "logging_steps"):
            if not getattr(self, name) > 0:
                raise InputError(f"--{name} is {getattr(self, name)}; it must be above 0")
        for name in ("warmup_steps", "weight_decay"):
            if getattr(self, name) < 0:
                raise InputError(f"--{name} is {getattr(self, name)}; it must not be negative")
        if self.patience_epochs is not None and self.patience_epochs < 1:
            raise InputError(f"--early_stop_nums is {self.patience_epochs}; it must be at least 1")
        if not 0 <= self.seed < 1 << 32:
            raise InputError(f"--seed is {self.seed}; give 0 to {(1 << 32) - 1}")
        if not 0 <= self.token_dropout < 1:
            raise InputError(f"--token_dropout is {self.token_dropout}; it must be at least 0 and below 1")
