"""A model that goes on learning with other labels: what is shared keeps its rows, what is new begins afresh."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import InputError
from pipeline.labels.hierarchy import LabelHierarchy, composed

if TYPE_CHECKING:
    import paddle

_BETWEEN = "="


def starting_columns(old: LabelHierarchy, new: LabelHierarchy, renamed: Sequence[str]) -> np.ndarray:
    """Where each new label starts from: int64 [new labels], its column among the old labels, -1 for none.

    Args:
        renamed: pairs OLD=NEW of label paths, for labels that were called otherwise.

    Raises:
        InputError: a pair names no old and no new label, or can be read in several ways, or two pairs one label.
    """
    columns = np.full(len(new), -1, np.int64)
    for path, column in zip(reversed(new.paths), reversed(new.path_columns)):  # of several paths the first counts
        if (found := old.find(path)) is not None:
            columns[column] = found
    taken: dict[str, str] = {}
    for pair in renamed:
        parts = composed(pair).split(_BETWEEN)
        splits = ((_BETWEEN.join(parts[:end]), _BETWEEN.join(parts[end:])) for end in range(1, len(parts)))
        fits = [split for split in splits if split[0] in old.index and split[1] in new.index]
        if len(fits) != 1:
            ways = "can be read in several ways" if fits else "names no label of the checkpoint and one of label.txt"
            raise InputError(f"--label_map {pair!r} {ways}; give OLD=NEW, two label paths")
        before, after = fits[0]
        if after in taken:
            raise InputError(f"--label_map lets {after!r} start from {taken[after]!r} and from {before!r}; choose one")
        taken[after] = before
        columns[new.index[after]] = old.index[before]
    return columns


def in_words(columns: np.ndarray, old: LabelHierarchy) -> str:
    """How many labels are shared, new and gone."""
    shared = int((columns >= 0).sum())
    gone = len(old) - len(np.unique(columns[columns >= 0]))
    return f"{shared} labels start from the checkpoint's rows, {len(columns) - shared} are new, and {gone} are gone"


def fit_classifier(model: paddle.nn.Layer, columns: np.ndarray) -> None:
    """Give a model a classifier for other labels: old columns where there are any, else random ones (Glorot 2010)."""
    import paddle

    weight, bias = (parameter.numpy() for parameter in (model.classifier.weight, model.classifier.bias))
    width, known = len(weight), columns >= 0
    if not known.any():
        raise InputError("--init_from_ckpt shares no label with the dataset; give its folder as --model_name instead")
    deviation = (2 / (width + len(columns))) ** 0.5
    weights = np.random.normal(0, deviation, (width, len(columns))).astype(np.float32)
    biases = np.zeros(len(columns), np.float32)
    weights[:, known], biases[known] = weight[:, columns[known]], bias[columns[known]]
    model.classifier = paddle.nn.Linear(width, len(columns))
    model.classifier.weight.set_value(weights)
    model.classifier.bias.set_value(biases)
    model.num_labels = model.config.num_labels = len(columns)
