"""What the frozen layers of an encoder make of texts, computed once: it is the same in each epoch.

The states lie in a file without a name, which is gone with the process, however that ends. float16 halves its size and
keeps three digits.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import paddle

from pipeline.compute.batching import pad, plan_batches
from pipeline.tensors import PAD_ID
from training.loop.distributed import ProcessGroup
from training.loop.options import LoopOptions
from training.model.narrowing import encoder_layers
from training.model.pooling import MASKED

GIGABYTE = 1e9
SHARE_OF_DISK = 0.5
"""Of the free disk that states take at most: checkpoints are written beside them."""
TOKENS = 4096
"""Of a batch, padding included."""


class NotKept(Exception):
    """The states are computed in each epoch; the message says why."""


class FrozenLayers:
    """The states that the embeddings and the lowest layers of a model give texts, and what the others make of them.

    Args:
        model: a sequence classification model whose lower part is frozen by `training.model.encoders.freeze_layers`,
            and whose last layer is one of `training.model.pooling.LAYERS`.
        count: frozen layers.
        rows: token ids of all texts, int64 [length] each.
        folder: on the disk where the states are kept.
        gigabytes: that they may take there.

    Raises:
        NotKept: they would take more than that, or than half of what is free, or are too large for float16.
    """

    def __init__(
        self, model: paddle.nn.Layer, count: int, rows: Sequence[np.ndarray], folder: Path, gigabytes: float
    ) -> None:
        layers = encoder_layers(model)
        self._model, self._lower, self._upper, self._rows = model, layers[:count], layers[count:], rows
        self._encoder = getattr(model, model.base_model_prefix)
        self._lengths = np.array([len(row) for row in rows], np.int64)
        # The last layer gives one vector a text.
        self._ends = np.cumsum(self._lengths if self._upper else np.ones_like(self._lengths))
        self._states = _reserve((int(self._ends[-1]), model.config.hidden_size), folder, gigabytes)
        self._fill()

    @property
    def bytes(self) -> int:
        """That the states take."""
        return self._states.nbytes

    @paddle.no_grad()
    def _fill(self) -> None:
        self._model.eval()
        for batch in plan_batches(self._lengths, TOKENS):
            input_ids = pad([self._rows[row] for row in batch])
            embedded = self._encoder.embeddings(input_ids=paddle.to_tensor(input_ids))
            with np.errstate(over="ignore"):
                states = _through(self._lower, embedded, input_ids).numpy().astype(np.float16)
            if not np.isfinite(states).all():
                raise NotKept("it is too large for float16")
            for row, own in zip(batch, states):
                part = self._part(row)
                part[:] = own[: len(part)]

    def _part(self, row: int) -> np.ndarray:
        return self._states[self._ends[row - 1] if row else 0 : self._ends[row]]

    def states(self, batch: np.ndarray) -> np.ndarray:
        """float32 [batch, longest, width] for row numbers, 0 behind each row's end."""
        parts = [self._part(row) for row in batch]
        states = np.zeros((len(parts), max(map(len, parts)), self._states.shape[1]), np.float32)
        for target, part in zip(states, parts):
            target[: len(part)] = part
        return states

    def logits(self, batch: np.ndarray) -> paddle.Tensor:
        """What the model gives for row numbers, float32 [batch, labels], with gradients of its trained part."""
        input_ids = pad([self._rows[row] for row in batch])
        states = _through(self._upper, paddle.to_tensor(self.states(batch)), input_ids)
        return self._model.classifier(self._model.dropout(self._encoder.pooler(states)))

    @paddle.no_grad()
    def all_logits(self, first: int) -> np.ndarray:
        """float32 [rows, labels] of the rows from `first` on, without gradients."""
        logits = [(batch, self.logits(first + batch).numpy()) for batch in plan_batches(self._lengths[first:], TOKENS)]
        result = np.empty((len(self._rows) - first, logits[0][1].shape[1]), np.float32)
        for batch, values in logits:
            result[batch] = values
        return result


def keep_states(
    model: paddle.nn.Layer,
    options: LoopOptions,
    rows: Sequence[np.ndarray],
    folder: Path,
    group: ProcessGroup,
    longest: int,
) -> FrozenLayers | None:
    """The states of texts where they can be kept, else None; a line says which.

    Args:
        model, rows, folder: as for FrozenLayers, but for what is frozen, and with which last layer.
        longest: tokens of a row that the model takes at once.
    """
    if not options.freeze_layers or not options.frozen_gigabytes or options.epochs == 1:
        return None
    try:
        if options.token_dropout:
            raise NotKept("--token_dropout hides other tokens each time")
        if group.size > 1:
            raise NotKept("several processes train")
        if max(map(len, rows)) > longest:
            raise NotKept("long texts are read in windows")
        kept = FrozenLayers(model, options.freeze_layers, rows, folder, options.frozen_gigabytes)
    except NotKept as reason:
        if group.leads:
            print(f"note: what the frozen layers make of the texts is computed in each epoch: {reason}")
        return None
    print(
        f"what the frozen layers make of {len(rows):,} texts is kept: {_size(kept.bytes)} of disk until training ends"
    )
    return kept


def _reserve(shape: tuple[int, int], folder: Path, gigabytes: float) -> np.memmap:
    size = 2 * shape[0] * shape[1]
    free = SHARE_OF_DISK * shutil.disk_usage(folder).free
    for most, whose in ((gigabytes * GIGABYTE, "--frozen_gigabytes allows"), (free, "half of the free disk is")):
        if size > most:
            raise NotKept(f"it would take {_size(size)}, and {whose} {_size(most)}")
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)  # writing to a hole of a full disk would kill the process
        except OSError as error:
            raise NotKept(f"it would take {_size(size)}, and {folder} gives no such file: {error.strerror}") from error
        return np.memmap(file, np.float16, "r+", shape=shape)


def _through(layers: Sequence[paddle.nn.Layer], states: paddle.Tensor, input_ids: np.ndarray) -> paddle.Tensor:
    """States after `layers`; `input_ids`, int64 [batch, length], tell what is padding, which is not attended to."""
    mask = paddle.to_tensor(np.where(input_ids == PAD_ID, MASKED, 0.0).astype(np.float32)[:, None, None])
    for layer in layers:
        states = layer(states, src_mask=mask)
    return states


def _size(size: float) -> str:
    return f"{size / 1e6:,.0f} MB"
