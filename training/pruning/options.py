"""The options of pruning, validated when made, without importing paddle."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from pipeline.errors import InputError
from pipeline.metrics.threshold_tuning import MODES
from pipeline.options import option
from training.loop.options import LoopOptions
from training.model.pretrained.trimming import NEVER
from training.model.width import folder_name, parse_widths
from training.options import GoldenOptions, PublishingOptions, RunOptions, SeedOptions

STUDENT, PADDLESLIM = ENGINES = ("student", "paddleslim")
WIDTHS, WIDTHS_ALIAS, DEFAULT_WIDTH = "width_mult", "width_mult_list", "2/3"


@dataclass(frozen=True)
class StudentOptions(SeedOptions):
    """How a narrow model is taught, by the names that paddlenlp's TrainingArguments give it."""

    per_device_train_batch_size: int = option(32, "texts per training step and process", at_least=1)
    per_device_eval_batch_size: int = option(32, "texts at once when importance is measured", at_least=1)
    learning_rate: float = option(3e-5, "peak learning rate", above=0)
    num_train_epochs: int = option(10, "passes over the training rows for each width", at_least=1)
    weight_decay: float = option(0.0, "decay of all parameters but biases and normalisation layers", at_least=0)
    warmup_steps: int = option(0, "steps over which the learning rate grows from 0", at_least=0)
    logging_steps: int | None = option(
        None, "steps between further lines with loss, F1 on the rows of the epoch so far, and speed", at_least=1
    )

    def loop(
        self, *, save_steps: int | None, thresholds: str, at_least_one: bool = False, linear: str = NEVER
    ) -> LoopOptions:
        """The options of the training loop; the arguments are as there."""
        return LoopOptions(
            learning_rate=self.learning_rate,
            batch_size=self.per_device_train_batch_size,
            epochs=self.num_train_epochs,
            warmup=True,
            warmup_steps=self.warmup_steps,
            weight_decay=self.weight_decay,
            logging_steps=self.logging_steps,
            save_steps=save_steps,
            thresholds=thresholds,
            at_least_one=at_least_one,
            linear=linear,
            seed=self.seed,
        )


@dataclass(frozen=True)
class PruningRun(StudentOptions, RunOptions, GoldenOptions, PublishingOptions):
    """Which checkpoint to prune, to which widths, and how the narrow models are taught."""

    params_dir: Path = option(
        "./checkpoint/", "the checkpoint to prune: its folder, or its parameter file", in_run="checkpoint"
    )
    width_mult: tuple[str, ...] = option(
        (DEFAULT_WIDTH,), "shares of heads and neurons to keep, one model for each", aliases=(WIDTHS_ALIAS,)
    )
    output_dir: Path = option(
        "./prune", "where the pruned models are written, each in a folder of its own", in_run="prune"
    )
    max_seq_length: int | None = option(
        None, "tokens that the model takes at once (as many as in training)", at_least=3, at_most=2048
    )
    engine: str = option(
        STUDENT,
        "student teaches a narrow model that is cut out first; paddleslim is paddlenlp's Trainer.compress, and slower",
        choices=ENGINES,
    )
    save_steps: int = option(100, "steps after which the training state is written; paddleslim writes none", at_least=1)
    thresholds: str | None = option(None, "how thresholds are chosen on dev (as the checkpoint's were)", choices=MODES)
    unlabelled_file: str | None = option(
        None, "texts in --dataset_dir on which to learn from the whole model too, such as data.txt"
    )

    def check(self) -> None:
        super().check()
        widths = parse_widths(self.width_mult)
        if self.model_repository is not None and len(widths) > 1:
            first = self.output_dir / folder_name(widths[0])
            raise InputError(
                f"--model_repository takes one model, and --width_mult makes {len(widths)}; leave it out, then "
                f"publish the one that you choose, for example by python -m serving.publish --bundle {first}"
            )
        if self.resume and self.engine == PADDLESLIM:
            raise InputError(
                f"--engine {PADDLESLIM} writes no training state, so that --resume has nothing to go on with; run "
                f"without --resume, or with --engine {STUDENT}"
            )

    @property
    def widths(self) -> list[Fraction]:
        """The shares to keep, each once."""
        return parse_widths(self.width_mult)
