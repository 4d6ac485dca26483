"""What makes training on a CPU cheaper must not change what is computed."""

import numpy as np
import paddle
import pytest
from paddlenlp import transformers

from training.model.cpu_gradients import dropped, use_cpu_gradients
from training.model.pooling import FirstPositionLayer, pool_in_last_layer

SHAPE = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 32,
    "max_position_embeddings": 16,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "initializer_range": 0.2,
    "num_labels": 7,
}


def model(kind="ernie"):
    paddle.seed(3)
    if kind == "bert":
        return transformers.BertForSequenceClassification(transformers.BertConfig(**SHAPE))
    return transformers.ErnieForSequenceClassification(transformers.ErnieConfig(**SHAPE))


def logits_and_gradients(network):
    generator = np.random.default_rng(3)
    input_ids = generator.integers(5, 50, (6, 11))
    input_ids[2, 4:] = input_ids[5, 9:] = 0
    logits = network(paddle.to_tensor(input_ids))
    (logits * paddle.to_tensor(generator.normal(size=(6, 7)).astype(np.float32))).sum().backward()
    learning = {name: p.grad for name, p in network.named_parameters() if not p.stop_gradient}
    return logits.numpy(), {name: gradient.numpy() for name, gradient in learning.items()}


@pytest.mark.parametrize("kind", ["ernie", "bert"])
@pytest.mark.parametrize("change", [use_cpu_gradients, pool_in_last_layer], ids=lambda change: change.__name__)
def test_logits_and_every_gradient_stay_the_same(kind, change):
    plain, changed = model(kind), model(kind)
    change(changed)
    logits, gradients = logits_and_gradients(plain)
    changed_logits, changed_gradients = logits_and_gradients(changed)
    np.testing.assert_allclose(changed_logits, logits, atol=1e-5)
    assert len(gradients) > 30
    for name, gradient in gradients.items():
        np.testing.assert_allclose(changed_gradients[name], gradient, atol=1e-4, err_msg=name)


def test_what_does_not_learn_gets_no_gradient_and_stops_none():
    models = [model("bert") for _ in range(2)]
    for each in models:
        each.config.pooling = "mean"
        pool_in_last_layer(each)
    use_cpu_gradients(models[1])
    (logits, gradients), (changed_logits, changed_gradients) = map(logits_and_gradients, models)
    np.testing.assert_allclose(changed_logits, logits, atol=1e-5)
    assert not [name for name in gradients if "pooler" in name]
    for name, gradient in gradients.items():
        np.testing.assert_allclose(changed_gradients[name], gradient, atol=1e-4, err_msg=name)


def test_only_the_last_layer_is_shortened():
    network = model()
    pool_in_last_layer(network)
    kinds = [type(layer) for layer in network.ernie.encoder.layers]
    assert kinds == [paddle.nn.TransformerEncoderLayer, FirstPositionLayer]


def dropping_model():
    """Of the two kinds of dropout that an encoder has: of hidden states, and of attention weights."""
    paddle.seed(3)
    config = transformers.BertConfig(**{**SHAPE, "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1})
    network = transformers.BertForSequenceClassification(config)
    use_cpu_gradients(network)
    return network


def test_dropout_is_of_training_alone():
    plain, changed = model("bert"), dropping_model()
    plain.eval(), changed.eval()
    np.testing.assert_allclose(logits_and_gradients(changed)[0], logits_and_gradients(plain)[0], atol=1e-5)


@pytest.mark.parametrize("kind", [paddle.nn.Dropout, paddle.nn.MultiHeadAttention], ids=lambda kind: kind.__name__)
def test_each_kind_of_dropout_follows_the_seed(kind):
    network = dropping_model()
    for layer in network.sublayers():
        if isinstance(layer, (paddle.nn.Dropout, paddle.nn.MultiHeadAttention)) and not isinstance(layer, kind):
            layer.training = False
    found = []
    for seed in (5, 6, 5):
        paddle.seed(seed)
        found.append(logits_and_gradients(network)[0])
    assert np.array_equal(found[0], found[2])
    assert np.abs(found[0] - found[1]).max() > 1e-3


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_dropped_elements_are_as_many_as_asked_for_and_the_mean_stays(rate):
    paddle.seed(3)
    ones = paddle.ones([401, 499])
    first, second = (dropped(ones, rate).numpy() for _ in range(2))
    assert abs((first == 0).mean() - rate) < 0.01
    assert abs(first.mean() - 1) < 0.01
    assert np.allclose(np.unique(first), [0, 1 / (1 - rate)], atol=1e-4)
    both = ((first == 0) & (second == 0)).mean()
    assert abs(both - rate**2) < 0.01  # one knows nothing of the other
    assert abs(((first[1:] == 0) & (first[:-1] == 0)).mean() - rate**2) < 0.01


def test_gradients_flow_through_what_was_kept():
    x = paddle.ones([50, 50])
    x.stop_gradient = False
    out = dropped(x, 0.3)
    out.sum().backward()
    assert np.array_equal(x.grad.numpy(), out.numpy())
