"""Small models with random weights, and rows for them."""

import numpy as np
import paddle
import pytest
from paddlenlp import transformers

from pipeline.files.dataset import ReadReport
from training.data.encoded import EncodedDataset

HEADS, HEAD_SIZE, NEURONS, LABELS = 6, 4, 36, 5
SHAPE = {
    "vocab_size": 50,
    "hidden_size": HEADS * HEAD_SIZE,
    "num_hidden_layers": 2,
    "num_attention_heads": HEADS,
    "intermediate_size": NEURONS,
    "max_position_embeddings": 16,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "initializer_range": 0.3,
    "num_labels": LABELS,
}


def create_model(family, **shape):
    network, config = (getattr(transformers, family + name) for name in ("ForSequenceClassification", "Config"))
    paddle.seed(3)
    made = network(config(**{**SHAPE, **shape}))
    made.eval()
    return made


@pytest.fixture(params=["Ernie", "Bert"])
def family(request):
    return request.param


@pytest.fixture
def model(family):
    return create_model(family)


@pytest.fixture
def dataset():
    generator = np.random.default_rng(3)
    rows = [generator.integers(5, 50, length) for length in (9, 4, 12, 6, 6)]
    return EncodedDataset([""] * 5, rows, generator.random((5, LABELS)) < 0.4, ReadReport())
