"""Encoders in Hugging Face's folders: BERT, RoBERTa, XLM-R and ERNIE, all of which become paddlenlp's BERT.

RoBERTa numbers positions from behind its padding id, and ERNIE adds an embedding that is the same everywhere: both are
worked into BERT's tables, so that one network serves all. A tokenizer.json may be cut down to the texts at hand, and
its padding token becomes PAD_ID.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipeline.errors import InputError
from pipeline.option_values import AUTO
from pipeline.records import read_object
from pipeline.text.subword import MODELS, TOKENISER_FILE, Subword
from pipeline.text.tokeniser_files import CONFIG_FILE, SPECIAL_TOKENS, read_settings, write_subword
from pipeline.text.wordpiece import VOCABULARY_FILE
from training.model.parameters import HUGGING_FACE_WEIGHTS_FILE, part_of
from training.model.pretrained.described_wordpiece import WORDPIECE, write_described_wordpiece
from training.model.pretrained.trimming import pieces_to_keep, renumbered, with_added_tokens

MODEL_TYPES = {"bert": "bert.", "ernie": "ernie.", "roberta": "roberta.", "xlm-roberta": "roberta."}
"""The kinds that are read, and what their parameters' names begin with in a whole model."""
SPECIAL_TOKENS_FILE = "special_tokens_map.json"
TRIMMED_FROM = 50_000
"""Tokens of a vocabulary that is worth trimming."""
ENCODED_TEXTS = 1000

_ROBERTA_TOKENS = {
    "cls_token": "<s>",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "unk_token": "<unk>",
    "mask_token": "<mask>",
}
SIZES = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
)
MOST = {"num_hidden_layers": 200, "hidden_size": 1 << 15, "intermediate_size": 1 << 17, "num_attention_heads": 1 << 10}
MOST_OF_OTHERS = 1 << 24
SETTINGS = ("hidden_act", "hidden_dropout_prob", "attention_probs_dropout_prob", "layer_norm_eps")
ORIGIN_KEYS = ("origin", "origin_license")
"""Where the weights of an encoder come from, and the licence that they are under, in its configuration."""
_NAMES = (
    ("LayerNorm.gamma", "LayerNorm.weight"),
    ("LayerNorm.beta", "LayerNorm.bias"),
    ("embeddings.LayerNorm", "embeddings.layer_norm"),
    ("encoder.layer.", "encoder.layers."),
    ("attention.self.query", "self_attn.q_proj"),
    ("attention.self.key", "self_attn.k_proj"),
    ("attention.self.value", "self_attn.v_proj"),
    ("attention.output.dense", "self_attn.out_proj"),
    ("attention.output.LayerNorm", "norm1"),
    ("intermediate.dense", "linear1"),
    ("output.dense", "linear2"),
    ("output.LayerNorm", "norm2"),
)
"""What stands in BERT's names there, and here, in the order in which it is replaced."""
_WORDS, _POSITIONS, _TYPES, _TASKS = (
    f"embeddings.{name}_embeddings.weight" for name in ("word", "position", "token_type", "task_type")
)


class Encoder(NamedTuple):
    """An encoder as paddlenlp's BERT.

    Attributes:
        config: for `paddlenlp.transformers.BertConfig`.
        parameters: float arrays, by paddlenlp's names.
    """

    config: dict[str, Any]
    parameters: dict[str, np.ndarray]


def read_hugging_face(folder: Path, tokeniser_folder: Path, texts: Iterable[str], trim: str = AUTO) -> Encoder:
    """The encoder in a folder; its tokeniser is written to `tokeniser_folder`.

    Args:
        texts: normalised, read once; what a large vocabulary is cut down to.
        trim: AUTO, or NEVER to keep the vocabulary whole.

    Raises:
        InputError: the folder lacks a file, or is of another kind than those that are read.
        Exception: whatever safetensors raises for a file that it does not read.
    """
    config = _checked_config(folder)
    parameters = _read_parameters(folder, MODEL_TYPES[config["model_type"]])
    if config["model_type"] not in ("bert", "ernie"):
        _shift_positions(config, parameters, folder)
    if (tasks := parameters.pop(_TASKS, None)) is not None and _TYPES in parameters:
        parameters[_TYPES] = parameters[_TYPES] + tasks[0]  # one task is asked for, always
    if (folder / VOCABULARY_FILE).exists():
        _write_wordpiece(folder, tokeniser_folder)
    elif _kind_of_model(read_object(folder / TOKENISER_FILE)) == WORDPIECE:
        write_described_wordpiece(folder / TOKENISER_FILE, _special_tokens(folder, "bert"), tokeniser_folder)
    else:
        _write_subword(folder, tokeniser_folder, texts, trim, config, parameters)
    own = {name: config[name] for name in (*SIZES, *SETTINGS) if name in config}
    own.update({name: config[name] for name in ORIGIN_KEYS if isinstance(config.get(name), str)})
    return Encoder({**own, "pad_token_id": 0}, parameters)


def lacks_pooler(folder: Path) -> bool:
    """Whether a folder's HUGGING_FACE_WEIGHTS_FILE can be read and holds no pooler."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / HUGGING_FACE_WEIGHTS_FILE, "numpy") as file:
            return not any("pooler." in name for name in file.keys())  # noqa: SIM118
    except (OSError, SafetensorError):
        return False


def _checked_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    config = read_object(path)
    supported = {
        "model_type": tuple(MODEL_TYPES),
        "position_embedding_type": (None, "absolute"),
        "hidden_act": (None, "gelu", "relu"),
    }
    for name, values in supported.items():
        if config.get(name) not in values:
            known = ", ".join(filter(None, values))
            raise InputError(
                f"{path}: {name} is {config.get(name)!r:.60}; of Hugging Face models those with {known} are read"
            )
    for name in SIZES:
        most = MOST.get(name, MOST_OF_OTHERS)
        if name in config and (type(config[name]) is not int or not 1 <= config[name] <= most):
            raise InputError(f"{path}: {name} is {config[name]!r:.60}; it must be a whole number from 1 to {most:,}")
    if not (folder / VOCABULARY_FILE).exists() and not (folder / TOKENISER_FILE).exists():
        raise InputError(f"{folder} has neither {VOCABULARY_FILE} nor {TOKENISER_FILE}; its tokeniser is needed")
    if not (folder / HUGGING_FACE_WEIGHTS_FILE).exists():
        raise InputError(
            f"{folder} has no {HUGGING_FACE_WEIGHTS_FILE}; weights in pytorch_model.bin are not read, since loading "
            "them can run code: convert them where you trust them, with transformers' save_pretrained("
            "safe_serialization=True)"
        )
    return config


def _read_parameters(folder: Path, prefix: str) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    parameters = {}
    for name, array in part_of(load_file(folder / HUGGING_FACE_WEIGHTS_FILE), prefix).items():
        if name in ("embeddings.position_ids", "embeddings.token_type_ids"):
            continue  # constants that older versions saved
        own = functools.reduce(lambda place, names: place.replace(*names), _NAMES, name)
        linear = array.ndim == 2 and not own.startswith("embeddings.")  # [out, in] there, [in, out] here
        parameters[own] = array.T if linear else array
    return parameters


def _shift_positions(config: dict[str, Any], parameters: dict[str, np.ndarray], folder: Path) -> None:
    pad_id, most = config.get("pad_token_id", 1), config.get("max_position_embeddings", 0) - 2
    if type(pad_id) is not int or not 0 <= pad_id <= most:
        raise InputError(
            f"{folder / 'config.json'}: pad_token_id is {pad_id!r:.40}; positions are numbered from behind it, so it "
            f"must be a whole number from 0 to {most:,}"
        )
    first = pad_id + 1
    config["max_position_embeddings"] -= first
    if _POSITIONS in parameters:
        parameters[_POSITIONS] = parameters[_POSITIONS][first:]


def _write_wordpiece(folder: Path, tokeniser_folder: Path) -> None:
    from paddlenlp.transformers import BertTokenizer

    path = folder / CONFIG_FILE
    config = read_object(path)
    if config.get("tokenizer_class") not in (None, "BertTokenizer", "BertTokenizerFast"):
        raise InputError(
            f"{path}: tokenizer_class is {config['tokenizer_class']!r:.60}; {VOCABULARY_FILE} is BertTokenizer's"
        )
    options = ("do_lower_case", "tokenize_chinese_chars", "strip_accents")
    kept = {key: config[key] for key in options if key in config}
    BertTokenizer(str(folder / VOCABULARY_FILE), **kept).save_pretrained(str(tokeniser_folder))


def _write_subword(
    folder: Path,
    tokeniser_folder: Path,
    texts: Iterable[str],
    trim: str,
    config: dict[str, Any],
    parameters: dict[str, np.ndarray],
) -> None:
    """Write the tokeniser, and give the word embeddings its order."""
    described = _described(folder / TOKENISER_FILE)
    names = _special_tokens(folder, config["model_type"])
    write_subword(described, names, tokeniser_folder)
    tokeniser = Subword(tokeniser_folder / TOKENISER_FILE, read_settings(tokeniser_folder / CONFIG_FILE), 1 << 20)
    rows = len(parameters.get(_WORDS, ()))
    if rows < tokeniser.vocabulary_size:
        raise InputError(f"{folder} has {tokeniser.vocabulary_size:,} tokens, and embeddings of {rows:,}")
    kept = np.arange(tokeniser.vocabulary_size)
    if trim == AUTO and len(kept) > TRIMMED_FROM and described["model"]["type"] == "Unigram":
        pieces = [piece for piece, _ in described["model"]["vocab"]]
        texts = list(texts)
        kept = pieces_to_keep(pieces, texts, _occurring(tokeniser, texts), tokeniser.special_ids)
        print(
            f"the vocabulary is cut from {len(pieces):,} tokens to the {len(kept):,} that the texts and their scripts "
            "need; --trim_vocabulary never keeps all"
        )
    order = np.concatenate([[tokeniser.pad_id], kept[kept != tokeniser.pad_id]])
    write_subword(renumbered(described, order), names, tokeniser_folder)
    parameters[_WORDS] = parameters[_WORDS][order]
    config["vocab_size"] = len(order)


def _occurring(tokeniser: Subword, texts: list[str]) -> Iterator[int]:
    for start in range(0, len(texts), ENCODED_TEXTS):
        for row in tokeniser.encode(texts[start : start + ENCODED_TEXTS]):
            yield from row.tolist()


def _described(path: Path) -> dict[str, Any]:
    described = read_object(path)
    kind = _kind_of_model(described)
    if kind not in MODELS:
        raise InputError(f"{path}: its model is {kind!r:.40}; supported are {', '.join((*MODELS, WORDPIECE))}")
    try:
        return with_added_tokens(described)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{path} describes no {kind} tokeniser ({error!r:.60})") from error


def _kind_of_model(described: dict[str, Any]) -> Any:
    model = described.get("model")
    return model.get("type") if isinstance(model, dict) else None


def _special_tokens(folder: Path, model_type: str) -> dict[str, str]:
    told: dict[str, Any] = {} if model_type in ("bert", "ernie") else dict(_ROBERTA_TOKENS)
    for name in (SPECIAL_TOKENS_FILE, CONFIG_FILE):
        if (folder / name).exists():
            told.update({key: value for key, value in read_object(folder / name).items() if key in SPECIAL_TOKENS})
    plain = {key: value.get("content") if isinstance(value, dict) else value for key, value in told.items()}
    return {key: value for key, value in plain.items() if value is not None}
