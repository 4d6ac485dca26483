"""A trained model that scores texts, whether it lies in a checkpoint or in a bundle."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import numpy as np

from pipeline.compute.batching import run_in_batches
from pipeline.errors import InputError
from pipeline.files.bundle import MANIFEST_FILE, Bundle
from pipeline.files.checksums import CHECKSUM_FILE
from pipeline.files.dataset import read_labels
from pipeline.labels.decoding import Decoder
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.predictor import Predictor
from pipeline.text.encoding import TextEncoder
from training.checkpoint.files import Checkpoint, read_checkpoint
from training.model.model_names import AUTO, CPU


@dataclass(frozen=True)
class Classifier:
    """What evaluation and prediction need of a trained model.

    Attributes:
        decoder: turns logits into label sets, with the thresholds and the policy that the model was released with.
        logits: float32 [texts, labels] of any number of texts; raises InputError for a text that is empty or too
            long, naming its row.
        model_name: the encoder's name, as `train.py --model_name` was given it.
        identity: 12 hexadecimal digits that change with any byte of the model's files.
        encoder: what turns texts into token ids for it; None for what reads texts otherwise.
    """

    decoder: Decoder
    logits: Callable[[Sequence[str]], np.ndarray]
    model_name: str = ""
    identity: str = ""
    encoder: TextEncoder | None = None

    @property
    def hierarchy(self) -> LabelHierarchy:
        """The labels, in the order of the logits' columns."""
        return self.decoder.hierarchy


def load_classifier(
    params_path: Path | str,
    device: str,
    max_seq_length: int | None,
    batch_size: int,
    check: Callable[[LabelHierarchy, str], None] = lambda hierarchy, model_name: None,
) -> Classifier:
    """The model at `params_path`.

    Args:
        params_path: a checkpoint's folder, the parameter file in it, or a bundle.
        device: what to compute on; a bundle computes on the CPU.
        max_seq_length: tokens per text; more than the model reads are cut to what it reads. None: as many as it was
            trained with.
        batch_size: texts of that length in a batch; of shorter ones as many more.
        check: judges the model's labels and its encoder's name, by raising InputError, before anything slow.

    Raises:
        InputError: nothing that loads is there, or `check` raises it.
        EnvironmentFault: the machine lacks the device.
    """
    folder = Path(params_path)
    folder = folder.parent if folder.is_file() else folder
    if (folder / MANIFEST_FILE).exists():
        if device not in (AUTO, CPU):
            raise InputError(f"{folder} is a bundle, which computes on the CPU here; give --device cpu")
        bundle = Bundle(folder)
        manifest = bundle.manifest
        check(bundle.hierarchy, manifest.model_name)
        predictor = Predictor(bundle, token_budget=(max_seq_length or manifest.max_seq_length) * batch_size)
        decoder = bundle.decoder()
        return Classifier(decoder, predictor.logits, manifest.model_name, bundle.identity, predictor.encoder)
    checkpoint = read_checkpoint(folder)
    check(checkpoint.hierarchy, checkpoint.record.model_name)
    length = max_seq_length or checkpoint.record.max_seq_length
    return _from_checkpoint(checkpoint, device, length, length * batch_size)


def checkpoint_model(checkpoint: Checkpoint, device: str, max_seq_length: int) -> tuple[Any, TextEncoder]:
    """A checkpoint's paddle model in evaluation mode on `device`, and what encodes texts for it.

    Raises:
        EnvironmentFault: the machine lacks the device.
    """
    _note_length(max_seq_length, checkpoint.record.max_seq_length)
    from training.model.device import use_device
    from training.model.pooling import pool_in_last_layer

    use_device(device)
    model = checkpoint.model()
    pool_in_last_layer(model)
    return model, checkpoint.encoder(min(max_seq_length, model.config.max_position_embeddings))


def _from_checkpoint(checkpoint: Checkpoint, device: str, max_seq_length: int, budget: int) -> Classifier:
    model, encoder = checkpoint_model(checkpoint, device, max_seq_length)
    from training.model.encoders import model_logits

    def logits(texts: Sequence[str]) -> np.ndarray:
        if not texts:
            return np.empty((0, len(checkpoint.hierarchy)), np.float32)
        return run_in_batches(encoder.encode(texts), lambda *inputs: model_logits(model, *inputs), budget)

    identity = hashlib.sha256((checkpoint.path / CHECKSUM_FILE).read_bytes()).hexdigest()[:12]
    return Classifier(checkpoint.decoder(), logits, checkpoint.record.model_name, identity, encoder)


def _note_length(asked: int, trained: int) -> None:
    if asked != trained:
        print(
            f"note: the model was trained with --max_seq_length {trained}, and {asked} is asked for; "
            "the same value gives the best answers",
            file=sys.stderr,
        )


def check_labels(path: Path, hierarchy: LabelHierarchy) -> None:
    """Compare a dataset's label.txt with the labels of a model.

    Raises:
        InputError: they are other labels; their order may differ.
    """
    listed = read_labels(path).labels
    lacking = [label for label in listed if label not in hierarchy.index]
    surplus = set(hierarchy.labels) - set(listed)
    if lacking:
        what = f"{lacking[0]!r} and {len(lacking) - 1} more are unknown to the model"
    elif surplus:
        what = f"{min(surplus)!r} and {len(surplus) - 1} more labels of the model are not in it"
    else:
        return
    raise InputError(f"{path} does not fit the model: {what}; give the label file that the model was trained with")
