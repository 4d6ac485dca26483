"""How a run is trained where nobody says: by its rows, the length of its texts, its labels and its encoder.

The rule was tuned on subsets of three datasets, 300 to 5,000 training rows each, measured on their dev.txt.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.files.dataset import read_examples
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.output import counted
from pipeline.records import read_json
from pipeline.text.normalisation import normalise
from pipeline.text.words import TokeniserSettings, WordSplitter
from training.checkpoint.files import MODEL_CONFIG_FILE, read_checkpoint
from training.data.reading import SAMPLED_TEXTS
from training.loop.options import CHOSEN, TrainingRun
from training.model.model_names import AUTO, PRETRAINED, SCRATCH

FEW_TRAINING_ROWS, SMALL_BATCH, BATCH = 2000, 16, 32
MOST_EPOCHS = 60
WARM_SHARE = 0.1
SHORT, LONG, MANY_LONG = 128, 256, 0.1


@dataclass(frozen=True)
class Needs:
    """What a kind of encoder needs.

    Attributes:
        kind: what it is called.
        steps: to be taken at least, in `epochs` at least.
        rate: peak of the learning rate, of an encoder `width` wide; a wider one takes less, by this `power` of its
            width.
    """

    kind: str
    steps: int
    epochs: int
    rate: float
    width: int
    power: int


NEEDS_SCRATCH = Needs("an encoder that learns from nothing", 1250, 8, 2e-3, 128, 1)
NEEDS_PRETRAINED = Needs("a pretrained encoder", 1000, 10, 3e-5, 768, 2)


@dataclass(frozen=True)
class Choice:
    """A value for an option, and why."""

    option: str
    value: Any
    reason: str

    def __str__(self) -> str:
        shown = "" if self.value is True else f" {self.value:g}"
        return f"recipe: --{self.option}{shown}: {self.reason}"


@dataclass(frozen=True)
class Data:
    """What is looked at.

    Attributes:
        rows: of the training file.
        long_share: share of a sample of the texts with more words than SHORT tokens hold.
    """

    rows: int
    long_share: float


def with_recipe(options: TrainingRun, hierarchy: LabelHierarchy, processes: int) -> tuple[TrainingRun, list[Choice]]:
    """The options with what `recipe` chooses, and the choices; what was given stays.

    Raises:
        InputError, DatasetError: the training file or the checkpoint to start from cannot be used.
    """
    if not options.follows_recipe:
        return options, []
    given = options.given(*CHOSEN)
    choices = []
    for choice in _choose(options, measure(options, hierarchy), processes):
        if choice.option not in given:
            choices.append(choice)
    return replace(options, recipe=AUTO, **{choice.option: choice.value for choice in choices}), choices


def measure(options: TrainingRun, hierarchy: LabelHierarchy) -> Data:
    """Read the training file once."""
    texts = [example.text for example in read_examples(options.folder / options.train_file, hierarchy)]
    splitter = WordSplitter(TokeniserSettings(kind="bert"))
    sample = texts[:: max(1, -(-len(texts) // SAMPLED_TEXTS))]
    long = sum(len(splitter.split_first(SHORT, normalise(text, options.normalisation))) > SHORT - 2 for text in sample)
    return Data(len(texts), long / max(1, len(sample)))


def _choose(options: TrainingRun, data: Data, processes: int) -> Iterator[Choice]:
    """All choices, each in view of the options that were given."""
    given = options.given(*CHOSEN)
    needs = NEEDS_SCRATCH if options.model_name in SCRATCH else NEEDS_PRETRAINED
    few = data.rows < FEW_TRAINING_ROWS
    batch = SMALL_BATCH if few else BATCH
    compared = "fewer than" if few else "not fewer than"
    yield Choice("batch_size", batch, f"{counted(data.rows, 'training row')}, {compared} {FEW_TRAINING_ROWS:,}")
    batch = options.batch_size if "batch_size" in given else batch
    steps = max(1, math.ceil(math.ceil(data.rows / batch) / processes))
    epochs = min(MOST_EPOCHS, max(needs.epochs, math.ceil(needs.steps / steps)))
    reason = f"{counted(steps, 'step')} an epoch; {needs.kind} needs {needs.steps:,} steps and {needs.epochs} epochs"
    yield Choice("epochs", epochs, reason + f"; {MOST_EPOCHS} epochs are the most" * (epochs == MOST_EPOCHS))
    epochs = options.epochs if "epochs" in given else epochs
    config = _config(options.model_name)
    width = config.get("hidden_size", needs.width)
    yield Choice("learning_rate", needs.rate * (needs.width / width) ** needs.power, f"{needs.kind}, {width} wide")
    yield Choice("warmup", True, "the first steps are the least certain")
    yield Choice("warmup_steps", max(1, round(WARM_SHARE * steps * epochs)), f"a tenth of the {steps * epochs:,} steps")
    if options.init_from_ckpt:
        length = read_checkpoint(options.init_from_ckpt).record.max_seq_length
        yield Choice("max_seq_length", length, f"as {options.init_from_ckpt} was trained")
        return
    length = LONG if data.long_share > MANY_LONG else SHORT
    reason = f"{100 * data.long_share:.0f} % of the texts have more words than {SHORT} tokens hold"
    if (most := config.get("max_position_embeddings", LONG)) < length:
        length, reason = most, f"{options.model_name} reads no more"
    yield Choice("max_seq_length", length, reason)


def _config(model_name: str) -> dict[str, int]:
    """Of an encoder's configuration the sizes that are known before it is loaded, which judges the rest."""
    if model_name in SCRATCH:
        return {"hidden_size": SCRATCH[model_name].hidden_size}
    if model_name in PRETRAINED:
        return {}
    try:
        content = read_json(Path(model_name) / MODEL_CONFIG_FILE)
    except (OSError, ValueError):
        return {}
    known = content if isinstance(content, dict) else {}
    sizes = {name: known.get(name) for name in ("hidden_size", "max_position_embeddings")}
    return {name: size for name, size in sizes.items() if isinstance(size, int) and size > 0}
