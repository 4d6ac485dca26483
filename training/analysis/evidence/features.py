"""What a trained encoder makes of a text: the vector that the classifier layer reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Callable

import numpy as np

from pipeline.compute.windows import Windows
from pipeline.errors import InputError
from pipeline.files.bundle import MANIFEST_FILE
from pipeline.files.chunks import CHARACTERS_PER_CHUNK, ROWS_PER_CHUNK, chunks
from pipeline.text.long_texts import MEAN
from training.analysis.progress import progress
from training.checkpoint.classifier import checkpoint_model
from training.checkpoint.files import RECORD_FILE, read_checkpoint

Features = Callable[[Sequence[str]], np.ndarray]


def load_features(params_path: Path | str, device: str, max_seq_length: int | None, batch_size: int) -> Features:
    """The encoder of a checkpoint, as a function from texts to float32 [texts, width].

    Of a text that is read in windows it is the mean of theirs.

    Args:
        params_path: a checkpoint's folder, or the parameter file in it.
        device, max_seq_length, batch_size: as `training.checkpoint.classifier.load_classifier` takes them.

    Raises:
        InputError: nothing that loads is there, or a bundle, whose graph gives logits alone.
        EnvironmentFault: the machine lacks the device.
    """
    folder = Path(params_path)
    folder = folder.parent if folder.is_file() else folder
    if (folder / MANIFEST_FILE).exists() and not (folder / RECORD_FILE).exists():
        raise InputError(f"--params_path {folder} is a bundle, which gives no features; name the checkpoint it is from")
    checkpoint = read_checkpoint(folder)
    if checkpoint.record.encoder_weight == 0:
        raise InputError(f"--params_path {folder} is a linear model, which gives no features; name one with an encoder")
    length = max_seq_length or checkpoint.record.max_seq_length
    model, encoder = checkpoint_model(checkpoint, device, length)
    import paddle

    windows = Windows(encoder.tokeniser.max_length, MEAN)
    caught: list[paddle.Tensor] = []
    model.classifier.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))

    def run(input_ids: np.ndarray, token_type_ids: np.ndarray) -> np.ndarray:
        caught.clear()
        with paddle.no_grad():
            model(paddle.to_tensor(input_ids), paddle.to_tensor(token_type_ids))
        return caught[0].numpy()

    def features(texts: Sequence[str]) -> np.ndarray:
        parts = []
        with progress(total=len(texts), desc="features", unit="text") as bar:
            for chunk in chunks(texts, ROWS_PER_CHUNK, CHARACTERS_PER_CHUNK):
                parts.append(windows.run_in_batches(encoder.encode(chunk), run, length * batch_size))
                bar.update(len(chunk))
        return np.concatenate(parts) if parts else np.empty((0, model.classifier.weight.shape[0]), np.float32)

    return features
