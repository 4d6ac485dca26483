"""How a run is trained where nobody says: by its rows, the length of its texts, its labels and its encoder.

The rule was tuned on subsets of three datasets, 300 to 5,000 training rows each, measured on their dev.txt; that of
encoders without a pooler with multilingual-e5-small on 10,000 rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.files.dataset import read_examples
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.option_values import AUTO
from pipeline.output import counted
from pipeline.records import read_json
from pipeline.text.normalisation import normalise
from pipeline.text.unspaced import is_unspaced
from pipeline.text.words import TokeniserSettings, WordSplitter
from training.checkpoint.files import read_checkpoint
from training.data.reading import SAMPLED_TEXTS
from training.loop.options import CHOSEN, CHOSEN_BESIDE, TrainingRun
from training.model.model_names import MEAN, SCRATCH
from training.model.parameters import MODEL_CONFIG_FILES
from training.model.pretrained.hugging_face import lacks_pooler
from training.model.pretrained.names import NAMED

FEW_TRAINING_ROWS, SMALL_BATCH, BATCH = 2000, 16, 32
MOST_EPOCHS = 60
WARM_SHARE = 0.1
SHORT, LONG, MANY_LONG = 128, 256, 0.1
CHARACTERS_PER_PIECE = 4
"""Of a script without spaces between words."""


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


NEEDS_MEAN = Needs("an encoder without a pooler", 900, 3, 5e-5, 384, 1)
NEW_CLASSIFIER_RATE, DECAY = 1e-3, 0.01
NEEDS_SCRATCH = Needs("an encoder that learns from nothing", 1250, 8, 2e-3, 128, 1)
NEEDS_PRETRAINED = Needs("a pretrained encoder", 1000, 10, 3e-5, 768, 2)


@dataclass(frozen=True)
class Encoder:
    """What is known of an encoder before it is loaded.

    Attributes:
        needs: of its kind.
        sizes: of its configuration, as far as they are there.
    """

    needs: Needs
    sizes: dict[str, int]


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
        words: of a text, up to LONG, on average.
    """

    rows: int
    long_share: float
    words: float


def with_recipe(
    options: TrainingRun, hierarchy: LabelHierarchy, processes: int, on_cpu: bool = True
) -> tuple[TrainingRun, list[Choice]]:
    """The options with what `recipe` chooses, and the choices; what was given stays.

    Args:
        processes: that train together.
        on_cpu: whether they compute on a CPU, for which the lower half of a pretrained encoder is frozen.

    Raises:
        InputError, DatasetError: the training file or the checkpoint to start from cannot be used.
    """
    if not options.follows_recipe:
        return options, []
    given = options.given(*CHOSEN, *CHOSEN_BESIDE)
    encoder = read_encoder(options.model_name)
    every = [*_choose(options, encoder, measure(options, hierarchy), processes), *_beside(encoder, on_cpu)]
    choices = [choice for choice in every if choice.option not in given]
    return replace(options, recipe=AUTO, **{choice.option: choice.value for choice in choices}), choices


def measure(options: TrainingRun, hierarchy: LabelHierarchy) -> Data:
    """Read the training file once."""
    texts = [example.text for example in read_examples(options.folder / options.train_file, hierarchy)]
    splitter = WordSplitter(TokeniserSettings(kind="bert", strip_accents=False))
    sample = texts[:: max(1, -(-len(texts) // SAMPLED_TEXTS))]
    words = [_words(splitter, normalise(text, options.normalisation)) for text in sample]
    long = sum(count > SHORT - 2 for count in words)
    return Data(len(texts), long / max(1, len(sample)), sum(words) / max(1, len(sample)))


def _words(splitter: WordSplitter, text: str) -> int:
    """The first words of a text, LONG at most, and what a run without spaces adds."""
    words = splitter.split_first(LONG, text)
    return len(words) + sum(len(word) // CHARACTERS_PER_PIECE for word in words if is_unspaced(word))


def schedule(needs: Needs, rows: int, batch: int | None = None, processes: int = 1) -> tuple[int, int, int]:
    """Texts of a batch, steps of an epoch, and epochs."""
    batch = batch or (SMALL_BATCH if rows < FEW_TRAINING_ROWS else BATCH)
    steps = max(1, math.ceil(math.ceil(rows / batch) / processes))
    return batch, steps, min(MOST_EPOCHS, max(needs.epochs, math.ceil(needs.steps / steps)))


def _choose(options: TrainingRun, encoder: Encoder, data: Data, processes: int) -> Iterator[Choice]:
    """All choices, each in view of the options that were given."""
    given = options.given(*CHOSEN)
    needs = encoder.needs
    given_batch = options.batch_size if "batch_size" in given else None
    batch, steps, epochs = schedule(needs, data.rows, given_batch, processes)
    compared = "fewer than" if data.rows < FEW_TRAINING_ROWS else "not fewer than"
    yield Choice("batch_size", batch, f"{counted(data.rows, 'training row')}, {compared} {FEW_TRAINING_ROWS:,}")
    reason = f"{counted(steps, 'step')} an epoch; {needs.kind} needs {needs.steps:,} steps and {needs.epochs} epochs"
    yield Choice("epochs", epochs, reason + f"; {MOST_EPOCHS} epochs are the most" * (epochs == MOST_EPOCHS))
    epochs = options.epochs if "epochs" in given else epochs
    width = encoder.sizes.get("hidden_size", needs.width)
    yield Choice("learning_rate", needs.rate * (needs.width / width) ** needs.power, f"{needs.kind}, {width} wide")
    yield Choice("warmup", True, "the first steps are the least certain")
    if options.warmup is not False:
        rising = max(1, round(WARM_SHARE * steps * epochs))
        yield Choice("warmup_steps", rising, f"a tenth of the {steps * epochs:,} steps")
    if options.init_from_ckpt:
        length = read_checkpoint(options.init_from_ckpt).record.max_seq_length
        yield Choice("max_seq_length", length, f"as {options.init_from_ckpt} was trained")
        return
    length = LONG if data.long_share > MANY_LONG else SHORT
    reason = f"{100 * data.long_share:.0f} % of the texts have more words than {SHORT} tokens hold"
    if (most := encoder.sizes.get("max_position_embeddings", LONG)) < length:
        length, reason = most, f"{options.model_name} reads no more"
    yield Choice("max_seq_length", length, reason)


def _beside(encoder: Encoder, on_cpu: bool) -> Iterator[Choice]:
    """Of CHOSEN_BESIDE."""
    if encoder.needs is not NEEDS_MEAN:
        return
    yield Choice("weight_decay", DECAY, encoder.needs.kind)
    yield Choice("head_learning_rate", NEW_CLASSIFIER_RATE, "the classifier begins from nothing, the encoder does not")
    layers = encoder.sizes.get("num_hidden_layers", 0)
    if on_cpu and layers > 1:
        reason = f"on a CPU the upper half of {layers} layers learns; the lower computes each text once"
        yield Choice("freeze_layers", layers // 2, reason)


def read_encoder(model_name: str) -> Encoder:
    """What is known before an encoder is loaded, which judges the rest."""
    if model_name in SCRATCH:
        return Encoder(NEEDS_SCRATCH, {"hidden_size": SCRATCH[model_name].hidden_size})
    if model_name in NAMED:
        return Encoder(NEEDS_PRETRAINED, {"hidden_size": NAMED[model_name].width})
    known = _read_config(Path(model_name))
    names = ("hidden_size", "max_position_embeddings", "num_hidden_layers")
    sizes = {name: known[name] for name in names if isinstance(known.get(name), int) and known[name] > 0}
    mean = bool(known) and (known.get("pooling") == MEAN or lacks_pooler(Path(model_name)))
    return Encoder(NEEDS_MEAN if mean else NEEDS_PRETRAINED, sizes)


def _read_config(folder: Path) -> dict[str, Any]:
    """Of an encoder's folder; empty where it cannot be read."""
    try:
        content = read_json(next(filter(Path.exists, (folder / name for name in MODEL_CONFIG_FILES))))
    except (OSError, ValueError, StopIteration):
        return {}
    known = content if isinstance(content, dict) else {}
    parts = known.get("init_args")  # where older paddlenlp put them
    for part in parts if isinstance(parts, list) else ():
        known = {**part, **known} if isinstance(part, dict) else known
    return known
