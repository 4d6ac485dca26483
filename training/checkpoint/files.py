"""The checkpoint: what training writes and `export_model.py` reads.

model_state.pdparams, config.json     parameters and encoder configuration, as paddlenlp writes them
model_config.json                     the configuration once more, under the name that older paddlenlp gave it
vocab.txt or tokenizer.json, tokenizer_config.json   the tokeniser
label.txt                             the label paths, in the order of the logits' columns
graph.txt                             further parents of labels, where they form a graph
training.json                         how it was trained, what it reached, texts to check an export with
linear.npz                            the linear part, where there is one
SHA256SUMS                            a checksum of each file above
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import BundleError, InputError
from pipeline.files.atomic import atomic_folder
from pipeline.files.bundle import CHECKPOINT_FILE, read_linear
from pipeline.files.checksums import CHECKSUM_FILE, read_checksums, verify_file, write_all_checksums
from pipeline.files.dataset import GRAPH_FILE, LABEL_FILE, read_labels, write_labels
from pipeline.files.manifest import check_encoder_weight, check_kept_texts, check_reading, check_width
from pipeline.labels.calibration import Calibration
from pipeline.labels.decoding import DEFAULT_THRESHOLD, Decoder, DecodingPolicy
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.records import from_fields, read_json
from pipeline.text.encoding import TextEncoder
from pipeline.text.linear import LINEAR_FILE, LinearPart, combined
from pipeline.text.long_texts import LongTexts
from pipeline.text.subword import TOKENISER_FILE
from pipeline.text.tokeniser_files import ADDED_TOKENS_FILE, CONFIG_FILE, checkpoint_tokeniser
from pipeline.text.wordpiece import VOCABULARY_FILE
from training.model.parameters import MODEL_CONFIG_FILES, WEIGHTS_FILE

RECORD_FILE = CHECKPOINT_FILE
MODEL_CONFIG_FILE, OLD_MODEL_CONFIG_FILE = MODEL_CONFIG_FILES
TOKENISER_FILES = (VOCABULARY_FILE, TOKENISER_FILE, CONFIG_FILE, "special_tokens_map.json", ADDED_TOKENS_FILE)
READ_FILES = (RECORD_FILE, MODEL_CONFIG_FILE, WEIGHTS_FILE, LABEL_FILE, GRAPH_FILE, LINEAR_FILE, *TOKENISER_FILES)


@dataclass(frozen=True)
class TrainingRecord:
    """What training.json holds.

    Attributes:
        model_name: the encoder's name, as `--model_name` takes it.
        max_seq_length: tokens that the model took at once in training.
        normalisation: the text normalisation, a name of `pipeline.text.normalisation.NORMALISATIONS`.
        options: every option of the run.
        metrics: scores by dataset file.
        sample_texts: texts of the development set; an export is checked on them, and they become golden texts.
        thresholds: one for all labels, or one per label.
        decoding: how label sets are made consistent.
        width: the share of the encoder's heads and neurons that pruning has left, such as 2/3.
        encoder_weight: of the encoder beside the linear part, see `pipeline.files.bundle.Manifest`.
        data: what it learnt from, as `training.data.encoded.describe` tells it; empty in older checkpoints.
        long_texts: what is read of texts that have more tokens.
        calibration: what makes probabilities of scores, of which thresholds are.
        label_history: changes of its labels without training, oldest first, as `training.label_changes.columns` tells
            them.
    """

    model_name: str
    max_seq_length: int
    normalisation: str
    options: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    sample_texts: tuple[str, ...] = ()
    thresholds: tuple[float, ...] = (DEFAULT_THRESHOLD,)
    decoding: DecodingPolicy = DecodingPolicy()
    width: str = "1"
    encoder_weight: float | None = None
    data: dict[str, Any] = field(default_factory=dict)
    long_texts: LongTexts = LongTexts()
    calibration: Calibration | None = None
    label_history: tuple[dict[str, Any], ...] = ()

    def __post_init__(self) -> None:
        check_width(self.width)
        check_encoder_weight(self.encoder_weight)
        if not self.thresholds:
            raise InputError("thresholds are empty; there is one for all labels, or one per label")
        check_reading(self.normalisation, self.max_seq_length)
        check_kept_texts("sample_texts", self.sample_texts)


@dataclass(frozen=True)
class _Shape:
    """What is read here of the encoder's configuration."""

    num_hidden_layers: int
    num_attention_heads: int
    hidden_size: int
    vocab_size: int

    def __post_init__(self) -> None:
        if wrong := [name for name, value in vars(self).items() if value < 1]:
            raise InputError(f"{wrong[0]} is below 1")
        if self.hidden_size % self.num_attention_heads:
            raise InputError(f"{self.num_attention_heads} attention heads do not divide {self.hidden_size}")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint read from its folder; the model is loaded when asked for."""

    path: Path
    record: TrainingRecord
    hierarchy: LabelHierarchy

    def __repr__(self) -> str:
        scores = self.record.metrics.get("dev")
        score = scores.get("micro_f1") if isinstance(scores, dict) else None
        micro = f", dev micro_f1={score:.4f}" if isinstance(score, float) else ""
        return f"Checkpoint({str(self.path)!r}, {self.record.model_name!r}, labels={len(self.hierarchy)}{micro})"

    @property
    def identity(self) -> str:
        """12 hexadecimal digits that change with any byte of its files."""
        return hashlib.sha256((self.path / CHECKSUM_FILE).read_bytes()).hexdigest()[:12]

    def encoder(self, max_seq_length: int | None = None) -> TextEncoder:
        """What turns texts into token ids, as many at once as the model took in training unless told otherwise."""
        tokeniser = checkpoint_tokeniser(self.path, max_seq_length or self.record.max_seq_length)
        weight, linear = self.record.encoder_weight, None
        if weight is not None:
            linear = read_linear(self.path / LINEAR_FILE, len(self.hierarchy))
        return TextEncoder(self.record.normalisation, tokeniser, linear, weight != 0, self.record.long_texts)

    def combine(self, logits: np.ndarray, linear: np.ndarray | None) -> np.ndarray:
        """The model's logits, as `pipeline.text.linear.combined` makes them of its encoder's and its linear part's."""
        return combined(logits, linear, self.record.encoder_weight)

    def decoder(self) -> Decoder:
        """What turns logits into label sets, with the thresholds, policy and calibration that training chose."""
        thresholds, record = self.record.thresholds, self.record
        values = thresholds if len(thresholds) > 1 else thresholds[0]
        return Decoder(self.hierarchy, values, record.decoding, record.calibration)

    def copy_tokeniser(self, folder: Path) -> None:
        """Copy the tokeniser's files to an existing folder."""
        for name in TOKENISER_FILES:
            if (self.path / name).exists():
                shutil.copyfile(self.path / name, folder / name)

    @property
    def model_config(self) -> dict[str, Any]:
        """The encoder's configuration before pruning.

        Raises:
            InputError: there is no encoder.
            BundleError: it does not say the encoder's shape.
        """
        if self.record.encoder_weight == 0:
            raise InputError(f"{self.path} is a linear model, which has no encoder")
        path = self.path / MODEL_CONFIG_FILE
        try:
            config = read_json(path)
            from_fields(_Shape, config)
        except ValueError as error:
            raise BundleError(f"{path} is damaged ({error}); train again") from error
        return config

    @property
    def attention_heads(self) -> int:
        """In each layer of the encoder before pruning."""
        return self.model_config["num_attention_heads"]

    def model(self) -> Any:
        """The paddle model, in evaluation mode; of a linear model one that says nothing."""
        if self.record.encoder_weight == 0:
            from training.model.encoders import Silent

            return Silent(len(self.hierarchy))
        from training.model.folders import load_model

        return load_model(self.path, len(self.hierarchy), Fraction(self.record.width))


def recorded(decoder: Decoder) -> tuple[float, ...]:
    """A decoder's thresholds as a record holds them: one where all are the same."""
    same = len(set(decoder.thresholds.tolist())) == 1
    return tuple(round(float(threshold), 6) for threshold in decoder.thresholds[: 1 if same else None])


def read_checkpoint(path: Path | str) -> Checkpoint:
    """Check a checkpoint's files and read its descriptions.

    Args:
        path: its folder, or the parameter file in it.

    Raises:
        BundleError: the folder is no checkpoint, or one of its files is missing or damaged.
    """
    path = Path(path).parent if Path(path).is_file() else Path(path)
    if not (path / RECORD_FILE).exists():
        raise BundleError(f"there is no checkpoint at {path}; make one with training/train.py")
    sums = read_checksums(path)
    for name in sorted({*sums, *(name for name in READ_FILES if (path / name).exists())}):
        verify_file(path, name, sums)
    hierarchy = read_labels(path / LABEL_FILE)
    try:
        checkpoint = Checkpoint(path, from_fields(TrainingRecord, read_json(path / RECORD_FILE)), hierarchy)
        checkpoint.decoder()
    except ValueError as error:
        raise BundleError(f"{path / RECORD_FILE} is damaged ({error}); train again") from error
    return checkpoint


def write_checkpoint(
    path: Path | str,
    model: Any,
    tokeniser_folder: Path,
    hierarchy: LabelHierarchy,
    record: TrainingRecord,
    linear: LinearPart | None = None,
) -> None:
    """Write a checkpoint atomically, in place of one that is there already.

    Args:
        path: the folder.
        model: the paddle model; None of a linear one.
        tokeniser_folder: holds vocab.txt and tokenizer_config.json, which are copied.
        hierarchy: the labels.
        record: how it was trained.
        linear: the linear part, if there is one.
    """
    with atomic_folder(path) as folder:
        if model is not None:
            save_model(model, folder)
        for file in tokeniser_folder.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        write_labels(folder / LABEL_FILE, hierarchy)
        write_record(folder, record, linear)


def rewrite_checkpoint(checkpoint: Checkpoint, record: TrainingRecord, linear: LinearPart | None) -> None:
    """Write a checkpoint anew in its place, atomically: the same parameters, another record and linear part."""
    with atomic_folder(checkpoint.path) as folder:
        for name in read_checksums(checkpoint.path):
            if name not in (RECORD_FILE, LINEAR_FILE):
                shutil.copyfile(checkpoint.path / name, folder / name)
        write_record(folder, record, linear)


def write_record(folder: Path, record: TrainingRecord, linear: LinearPart | None) -> None:
    """Complete a checkpoint whose other files stand in `folder`: its record, its linear part, the checksums."""
    if linear is not None:
        linear.write(folder / LINEAR_FILE)
    text = json.dumps(asdict(record), ensure_ascii=False, indent=1)
    (folder / RECORD_FILE).write_text(text + "\n", encoding="utf-8")
    write_all_checksums(folder)


def save_model(model: Any, folder: Path) -> None:
    """Write the parameters and the encoder configuration of a paddle model to an existing folder."""
    model.save_pretrained(str(folder))
    shutil.copyfile(folder / MODEL_CONFIG_FILE, folder / OLD_MODEL_CONFIG_FILE)
