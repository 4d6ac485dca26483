"""Models from local folders: of a checkpoint, of paddlenlp, of Hugging Face.

Every model that lies in a folder comes through here. Its configuration says its shape, one file gives its parameters,
and both have to fit: a parameter that is missing would begin at random, without a word.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import paddle
from paddlenlp.transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertTokenizer,
    ErnieConfig,
    ErnieForMaskedLM,
    ErnieForSequenceClassification,
    ErnieTokenizer,
)
from paddlenlp.utils.log import logger as paddlenlp_logger

from pipeline.errors import BundleError, InputError
from pipeline.option_values import AUTO
from pipeline.records import read_object
from pipeline.text.subword import TOKENISER_FILE
from pipeline.text.tokeniser_files import CONFIG_FILE, read_settings, tokeniser_file
from training.model.model_names import FIRST, MEAN
from training.model.narrowing import narrowed
from training.model.parameters import (
    HUGGING_FACE_WEIGHTS_FILE,
    MODEL_CONFIG_FILES,
    WEIGHTS_FILE,
    part_of,
    read_parameters,
    set_parameters,
)
from training.model.pooling import LAYERS, pool_in_last_layer
from training.model.pretrained.hugging_face import read_hugging_face

paddlenlp_logger.set_level("ERROR")


class Family(NamedTuple):
    """The classes of one kind of encoder."""

    config: Any
    classifier: Any
    masked_words: Any
    tokeniser: Any


FAMILIES = {
    "bert": Family(BertConfig, BertForSequenceClassification, BertForMaskedLM, BertTokenizer),
    "ernie": Family(ErnieConfig, ErnieForSequenceClassification, ErnieForMaskedLM, ErnieTokenizer),
}


def load_model(folder: Path, labels: int, width: Fraction) -> paddle.nn.Layer:
    """The model of a checkpoint, pruned to `width`, in evaluation mode.

    Raises:
        BundleError: the checkpoint's parameters are not those of such a model, or it describes no model.
    """
    parameters = read_parameters(folder)
    try:
        model = _create(folder, "classifier", num_labels=labels)
        model = narrowed(model, width) if width != 1 else model
    except Exception as error:  # whatever paddlenlp raises
        raise BundleError(f"{folder / MODEL_CONFIG_FILES[0]} describes no model that loads: {error}") from error
    set_parameters(model, parameters, folder / WEIGHTS_FILE)
    _pool_as_configured(model)
    model.eval()
    return model


def load_masked_words(folder: Path) -> tuple[paddle.nn.Layer, Any]:
    """A masked language model in evaluation mode, and its tokeniser; raises whatever paddlenlp raises."""
    model, parameters = _create(folder, "masked_words"), read_parameters(folder)
    own = model.state_dict().keys()  # a model that was pretrained has other heads beside
    prefix = f"{model.base_model_prefix}."
    used = {name: array for name, array in parameters.items() if name in own or name.startswith(prefix)}
    set_parameters(model, used, folder / WEIGHTS_FILE)
    model.eval()
    return model, _load_tokeniser(folder)


def load_encoder(
    folder: Path, labels: int, tokeniser_folder: Path, texts: Iterable[str] = (), trim: str = AUTO
) -> paddle.nn.Layer:
    """The encoder in a folder with a new classifier on top, its tokeniser's files written to `tokeniser_folder`.

    A folder may hold a classifier for other labels: its encoder is what counts. Of several files of parameters the one
    that paddlenlp writes is read.

    Args:
        texts, trim: as for `training.model.pretrained.hugging_face.read_hugging_face`.

    Raises:
        InputError: there is no such model, or it is of another kind than those that are read.
        BundleError: the parameters are not those of such an encoder.
        Exception: whatever paddlenlp or safetensors raises besides.
    """
    if (folder / WEIGHTS_FILE).exists():
        model = _create(folder, "classifier", num_labels=labels)
        parameters = part_of(read_parameters(folder), f"{model.base_model_prefix}.")
        source = folder / WEIGHTS_FILE
        _copy_tokeniser(folder, tokeniser_folder)
    else:
        config, parameters = read_hugging_face(folder, tokeniser_folder, texts, trim)
        model = BertForSequenceClassification(BertConfig(**config, num_labels=labels))
        source = folder / HUGGING_FACE_WEIGHTS_FILE
    set_encoder(model, parameters, source)
    return model


def _copy_tokeniser(folder: Path, destination: Path) -> None:
    settings = folder / CONFIG_FILE
    if (folder / TOKENISER_FILE).exists() and tokeniser_file(read_settings(settings)) == TOKENISER_FILE:
        for name in (TOKENISER_FILE, CONFIG_FILE):
            shutil.copyfile(folder / name, destination / name)
    else:
        _load_tokeniser(folder).save_pretrained(str(destination))


def set_encoder(model: paddle.nn.Layer, parameters: dict[str, np.ndarray], source: Path) -> None:
    """The encoder's parameters; a pooler is often left out where words were masked, and then begins at random."""
    encoder = getattr(model, model.base_model_prefix)
    pooler = {f"pooler.{name}": tensor.numpy() for name, tensor in encoder.pooler.state_dict().items()}
    model.has_new_pooler = not set(parameters) & set(pooler)
    if model.has_new_pooler:
        model.config.pooling = MEAN
        print(f"note: {source} has no pooler; a classifier reads the mean of the encoder's output, evened out")
        parameters = {**parameters, **pooler}
    set_parameters(encoder, parameters, source)
    _pool_as_configured(model)


def _pool_as_configured(model: paddle.nn.Layer) -> None:
    """Where the mean of all positions is asked for, it is no matter of speed, and nobody may forget it."""
    if getattr(model.config, "pooling", FIRST) != FIRST:
        pool_in_last_layer(model)


def _create(folder: Path, purpose: str, **settings: Any) -> paddle.nn.Layer:
    """A model in the shape that a folder's configuration describes, its parameters not yet set.

    Args:
        purpose: "classifier" or "masked_words".
        settings: of the configuration, in place of the folder's.

    Raises:
        InputError: the configuration is missing or no JSON, or describes another kind of encoder than FAMILIES.
    """
    family = FAMILIES[_kind(folder)]
    config = family.config.from_pretrained(str(folder), **settings)
    if (pooling := getattr(config, "pooling", FIRST)) not in LAYERS:
        raise InputError(f"{folder / MODEL_CONFIG_FILES[0]}: pooling is {pooling!r:.40}; it is {' or '.join(LAYERS)}")
    for name in ("use_cache", "output_attentions", "output_hidden_states", "return_dict"):
        if getattr(config, name, False):  # the model would answer more than logits
            setattr(config, name, False)
    return getattr(family, purpose)(config)


def _load_tokeniser(folder: Path) -> Any:
    """paddlenlp's tokeniser of a folder; raises InputError for another kind than those of FAMILIES."""
    path, known = folder / CONFIG_FILE, {family.tokeniser.__name__: family.tokeniser for family in FAMILIES.values()}
    usual = FAMILIES[_kind(folder)].tokeniser.__name__
    name = (read_object(path).get("tokenizer_class") if path.exists() else None) or usual
    if not isinstance(name, str) or name not in known:
        raise InputError(f"{path}: tokenizer_class is {name!r:.60}; supported are {', '.join(known)}")
    return known[name].from_pretrained(str(folder))


def _kind(folder: Path) -> str:
    """The key of FAMILIES that a folder's configuration names."""
    path = next((path for path in (folder / name for name in MODEL_CONFIG_FILES) if path.exists()), None)
    if path is None:
        raise InputError(f"{folder} has no {MODEL_CONFIG_FILES[0]}, which says what kind of model it is")
    config = read_object(path)
    classes = config.get("architectures") or [config.get("init_class")]  # older paddlenlp wrote no model_type
    named = config.get("model_type") or (str(classes[0]).partition("For")[0] if isinstance(classes, list) else classes)
    kind = str(named).lower().removesuffix("model")
    if kind not in FAMILIES:
        raise InputError(f"{path} describes a model of type {named!r:.60}; supported are {', '.join(FAMILIES)}")
    return kind
