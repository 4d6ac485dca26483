import numpy as np
import paddle
from paddlenlp.transformers import ErnieConfig, ErnieForSequenceClassification

from training.model.initialisation import (
    HEAD_OFFSETS,
    context_embeddings,
    initialise,
    standardise,
    start_from_frequencies,
)
from training.model.pooling import pool_in_last_layer

LENGTH, WIDTH, HEADS = 24, 64, 4


def started_model(rows, labels):
    config = ErnieConfig(
        vocab_size=40,
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=HEADS,
        intermediate_size=32,
        max_position_embeddings=LENGTH,
        num_labels=labels.shape[1],
        use_task_id=False,
        type_vocab_size=2,
    )
    model = ErnieForSequenceClassification(config)
    start_from_frequencies(model, labels, np.ones(labels.shape[1], bool))
    initialise(model, rows, seed=3)
    model.eval()
    return model


def random_rows():
    return list(np.random.default_rng(3).integers(5, 40, (200, LENGTH)))


def test_means_are_evened_out_in_every_dimension():
    rows = random_rows()
    model = started_model(rows, np.ones((4, 3), bool))
    model.config.pooling = "mean"
    pool_in_last_layer(model)
    standardise(model, rows)
    with paddle.no_grad():
        pooled = model.ernie(paddle.to_tensor(np.stack(rows)))[1].numpy()
    assert np.abs(pooled.mean(axis=0)).max() < 1e-3
    assert np.allclose(pooled.std(axis=0), 1, atol=1e-3)


def test_each_head_starts_on_its_neighbour():
    model = started_model(random_rows(), np.ones((4, 3), bool))
    hidden = model.ernie.embeddings(paddle.to_tensor(np.stack(random_rows()[:8])))
    attention = model.ernie.encoder.layers[0].self_attn
    queries, keys = (
        projection(hidden).reshape([8, LENGTH, HEADS, -1]).numpy()
        for projection in (attention.q_proj, attention.k_proj)
    )
    for head in range(HEADS):
        scores = np.einsum("btd,bsd->bts", queries[:, :, head], keys[:, :, head])
        middle = np.arange(4, LENGTH - 4)
        looked_at = scores.argmax(axis=2)[:, middle] - middle
        assert (looked_at == HEAD_OFFSETS[head]).mean() > 0.9


def test_tokens_with_like_neighbours_start_alike():
    """Tokens 10 and 11 stand in the same places, 12 in others."""
    rows = [np.array([5, left, token, right]) for token, left, right in [(10, 6, 7), (11, 6, 7), (12, 8, 9)] * 50]
    vectors = context_embeddings(rows, 20, 8, np.random.default_rng(3))

    def cosine(a, b):
        return vectors[a] @ vectors[b] / np.linalg.norm(vectors[a]) / np.linalg.norm(vectors[b])

    assert cosine(10, 11) > 0.99
    assert cosine(10, 12) < 0.5


def test_the_first_scores_are_the_label_frequencies():
    labels = np.zeros((100, 3), bool)
    labels[:50, 0] = labels[:2, 1] = True
    bias = started_model(random_rows(), labels).classifier.bias.numpy()
    np.testing.assert_allclose(1 / (1 + np.exp(-bias)), [0.5, 0.02, 0], atol=1e-3)


def test_the_same_seed_gives_the_same_parameters():
    states = [started_model(random_rows(), np.ones((4, 3), bool)).state_dict() for _ in range(2)]
    for name, value in states[0].items():
        if "pooler" not in name or "bias" not in name:
            np.testing.assert_array_equal(value.numpy(), states[1][name].numpy(), err_msg=name)


def test_a_vocabulary_wider_than_its_texts_still_gets_embeddings():
    vectors = context_embeddings([np.array([1, 5, 6, 2])], 30, 64, np.random.default_rng(3))
    assert vectors.shape == (30, 64)
    assert np.isfinite(vectors).all()
