"""A trained model that scores texts, whether it lies in a checkpoint or in a bundle."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Callable

import numpy as np

from pipeline.compute.windows import Windows
from pipeline.errors import InputError
from pipeline.explanation.neighbours import Neighbours
from pipeline.files.bundle import MANIFEST_FILE, ONNX_FILE, Bundle
from pipeline.files.dataset import GRAPH_FILE, LABEL_FILE, read_labels
from pipeline.labels.decoding import Decoder
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.option_values import AUTO
from pipeline.predictor import Predictor
from pipeline.text.encoding import TextEncoder
from training.checkpoint.files import Checkpoint, read_checkpoint
from training.model.model_names import CPU


@dataclass(frozen=True)
class Classifier:
    """What evaluation and prediction need of a trained model.

    Attributes:
        decoder: turns logits into label sets, with the thresholds and the policy that the model was released with.
        read: float32 [texts, labels], the logits of any number of texts, and of each text whether it was truncated,
            None where that is not known; raises InputError for a text that is empty or too long, naming its row.
        model_name: the encoder's name, as `train.py --model_name` was given it.
        identity: 12 hexadecimal digits that change with any byte of the model's files.
        encoder: what turns texts into token ids for it; None for what reads texts otherwise.
        chosen_on: name and number of rows of the development file, on which training found thresholds and calibration;
            None where that is not known.
        neighbours: gives what finds the training rows that a text is like; None where the model holds none.
    """

    decoder: Decoder
    read: Callable[[Sequence[str]], tuple[np.ndarray, Sequence[bool | None]]]
    model_name: str = ""
    identity: str = ""
    encoder: TextEncoder | None = None
    chosen_on: tuple[str, int] | None = None
    neighbours: Callable[[], Neighbours | None] = lambda: None

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """The first of what `read` gives."""
        return self.read(texts)[0]

    def checked_encoder(self, texts: Sequence[str]) -> TextEncoder:
        """The encoder, once it has checked the texts; raises InputError where it refuses one, or there is none."""
        if self.encoder is None:
            raise InputError(f"{self.model_name} reads texts by itself, so that none of their words can be left out")
        self.encoder.check(texts)
        return self.encoder

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
        max_seq_length: tokens to take at once; of more, as many as the model can. None: as many as in training.
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
        engine = ("onnxruntime", "float32") if ONNX_FILE in bundle.files else (AUTO, AUTO)  # as a part was published
        budget = (max_seq_length or manifest.max_seq_length) * batch_size
        predictor = Predictor(bundle, *engine, token_budget=budget)
        decoder = bundle.decoder()
        chosen_on = _development(manifest.training.get("data"))
        about = (manifest.model_name, bundle.identity, predictor.encoder, chosen_on, lambda: predictor.neighbours)
        return Classifier(decoder, predictor.read, *about)
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
    if checkpoint.record.encoder_weight == 0:
        run, encoder = _nothing(len(checkpoint.hierarchy)), checkpoint.encoder()
    else:
        model, encoder = checkpoint_model(checkpoint, device, max_seq_length)
        from training.model.device import full_card_told
        from training.model.encoders import model_logits

        run = full_card_told()(partial(model_logits, model))

    def read(texts: Sequence[str]) -> tuple[np.ndarray, list[bool | None]]:
        if not texts:
            return np.empty((0, len(checkpoint.hierarchy)), np.float32), []
        encoder.check(texts)
        encoded, windows = encoder.encode_checked(texts), Windows.of(encoder)
        logits = checkpoint.combine(windows.run_in_batches(encoded.ids, run, budget), encoded.linear)
        return logits, encoded.truncated.tolist()

    record = checkpoint.record
    about = (record.model_name, checkpoint.identity, encoder, _development(record.data))
    return Classifier(checkpoint.decoder(), read, *about)


def _development(data: Any) -> tuple[Any, Any] | None:
    dev = data.get("dev") if isinstance(data, dict) else None
    return (dev.get("file"), dev.get("rows")) if isinstance(dev, dict) else None


def _nothing(labels: int) -> Callable[..., np.ndarray]:
    """What the encoder says of a batch where there is none: a linear model needs no paddle to answer."""
    return lambda input_ids, _: np.zeros((len(input_ids), labels), np.float32)


def _note_length(asked: int, trained: int) -> None:
    if asked != trained:
        print(
            f"note: the model was trained with --max_seq_length {trained}, and {asked} is asked for; "
            "the same value gives the best answers",
            file=sys.stderr,
        )


def check_labels(path: Path, hierarchy: LabelHierarchy) -> None:
    """Compare a dataset's label.txt, and its graph.txt, with the labels of a model.

    Raises:
        InputError: they are other labels, or have other parents; their order may differ.
    """
    dataset = read_labels(path)
    lacking, surplus = _without(dataset, hierarchy), _without(hierarchy, dataset)
    if lacking:
        what = f"{lacking[0]!r} and {len(lacking) - 1} more are unknown to the model"
    elif surplus:
        what = f"{min(surplus)!r} and {len(surplus) - 1} more labels of the model are not in it"
    elif not _same_graph(dataset, hierarchy):
        what = f"it has other parents for its labels ({GRAPH_FILE} beside {LABEL_FILE} gives further ones)"
    else:
        return
    raise InputError(f"{path} does not fit the model: {what}; give the label file that the model was trained with")


def _without(one: LabelHierarchy, other: LabelHierarchy) -> list[str]:
    """The labels of a hierarchy of which another one knows no path."""
    known = {one.find(path) for path in other.paths}
    return [label for column, label in enumerate(one.labels) if column not in known]


def _same_graph(one: LabelHierarchy, other: LabelHierarchy) -> bool:
    """Whether two hierarchies of the same paths give their labels the same parents; their order may differ."""
    if len(one) != len(other) or not (one.is_graph or other.is_graph):
        return len(one) == len(other)
    found = map(other.find, one.labels)
    columns = np.array([-1 if column is None else column for column in found], np.int64)
    own, others = (
        set(zip(children.tolist(), parents.tolist()))
        for children, parents in (tuple(columns[side] for side in one.pairs), other.pairs)
    )
    return own == others
