"""How far each part of a model moves in a step: Adam's first one is as long as the part's learning rate."""

import numpy as np
import paddle
import pytest

from tests.training.model.tiny_bert import write_hugging_face_folder
from training.loop.averaging import create_optimizer
from training.loop.options import LoopOptions
from training.model.folders import load_encoder

PARTS = {
    "embeddings": "bert.embeddings.layer_norm.bias",
    "lower": "bert.encoder.layers.0.linear1.weight",
    "upper": "bert.encoder.layers.1.linear1.weight",
    "pooler": "bert.pooler.dense.weight",
    "classifier": "classifier.weight",
}


def first_step(folder, **options):
    (folder / "tokeniser").mkdir()
    model = load_encoder(write_hugging_face_folder(folder / "tiny"), 3, folder / "tokeniser")
    model.eval()
    optimizer = create_optimizer(model, LoopOptions(learning_rate=0.01, **options), 0.01)
    before = {part: model.state_dict()[name].numpy() for part, name in PARTS.items()}
    ids = np.array([[2, 5, 6, 3]])
    model(paddle.to_tensor(ids), paddle.zeros([1, 4], "int64")).square().sum().backward()
    optimizer.step()
    return {part: float(np.abs(model.state_dict()[name].numpy() - before[part]).max()) for part, name in PARTS.items()}


def test_every_part_learns_alike(tmp_path):
    assert first_step(tmp_path) == pytest.approx(dict.fromkeys(PARTS, 0.01), rel=0.01)


def test_lower_layers_learn_slower_and_the_classifier_as_fast_as_is_said(tmp_path):
    expected = {"embeddings": 0.0025, "lower": 0.005, "upper": 0.01, "pooler": 0.01, "classifier": 0.1}
    moved = first_step(tmp_path, layer_decay=0.5, head_learning_rate=0.1)
    assert moved == pytest.approx(expected, rel=0.01)
