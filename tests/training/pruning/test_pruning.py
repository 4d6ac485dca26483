"""Pruning keeps what matters: the parts, by what they compute."""

import copy
from fractions import Fraction

import numpy as np
import paddle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.compute.batching import pad
from pipeline.errors import InputError
from tests.training.pruning.conftest import HEAD_SIZE, HEADS, NEURONS
from training.loop.distillation import Distillation
from training.loop.losses import binary_cross_entropy
from training.model.narrowing import encoder_layers, narrowed
from training.model.pooling import pool_in_last_layer
from training.model.width import folder_name, kept, parse_widths
from training.pruning.importance import measure_importance
from training.pruning.selection import prune

INPUT_IDS = paddle.to_tensor(np.random.default_rng(5).integers(5, 50, (4, 9)))


def logits(network):
    with paddle.no_grad():
        return network(INPUT_IDS).numpy()


@pytest.mark.parametrize("width", [Fraction(1, 6), Fraction(1, 2), Fraction(2, 3)])
def test_a_pruned_model_computes_what_the_whole_one_does_without_the_least_important_parts(model, dataset, width):
    importance = measure_importance(model, dataset, binary_cross_entropy, 2)
    pruned = prune(model, importance, width)
    silenced = copy.deepcopy(model)
    for layer, values in zip(encoder_layers(silenced), importance):
        heads = np.argsort(-values.heads)[int(HEADS * width) :]
        neurons = np.argsort(-values.neurons)[int(NEURONS * width) :]
        silence(layer.self_attn.out_proj, (heads[:, None] * HEAD_SIZE + np.arange(HEAD_SIZE)).ravel())
        silence(layer.linear2, neurons)
    np.testing.assert_allclose(logits(pruned), logits(silenced), atol=1e-5)
    assert np.abs(logits(pruned) - logits(model)).max() > 1e-3
    np.testing.assert_array_equal(logits(prune(model, importance, Fraction(1))), logits(model))


def silence(linear, rows):
    weight = linear.weight.numpy()
    weight[rows] = 0
    linear.weight.set_value(weight)


def test_importance_is_the_derivative_of_the_loss_by_a_gate(model, dataset):
    importance = measure_importance(model, dataset, binary_cross_entropy, len(dataset))
    for layer, values in zip(encoder_layers(model), importance):
        for place, value in enumerate(values.heads):
            rows = slice(place * HEAD_SIZE, (place + 1) * HEAD_SIZE)
            expected = slope(model, dataset, layer.self_attn.out_proj, rows)
            assert value == pytest.approx(expected, rel=0.02, abs=2e-4)
        most = int(np.argmax(values.neurons))
        expected = slope(model, dataset, layer.linear2, slice(most, most + 1))
        assert values.neurons[most] == pytest.approx(expected, rel=0.02, abs=2e-4)


def slope(model, dataset, linear, rows, step=1e-2):
    """The loss's absolute slope when the part that these rows read is turned up and down."""
    whole, losses = linear.weight.numpy(), []
    for gate in (1 + step, 1 - step):
        changed = whole.copy()
        changed[rows] *= gate
        linear.weight.set_value(changed)
        losses.append(loss_of(model, dataset))
    linear.weight.set_value(whole)
    return abs(losses[0] - losses[1]) / (2 * step)


def loss_of(model, dataset):
    targets = paddle.to_tensor(dataset.labels.astype(np.float32))
    with paddle.no_grad():
        return float(binary_cross_entropy(model(paddle.to_tensor(pad(dataset.rows))), targets))


def test_a_student_that_answers_as_its_teacher_has_nothing_to_learn(model):
    student = copy.deepcopy(model)
    distillation = Distillation(model, student)
    distillation.loss(student(INPUT_IDS), INPUT_IDS).backward()
    gradients = [parameter.grad.numpy() for parameter in student.parameters() if parameter.grad is not None]
    assert max(np.abs(gradient).max() for gradient in gradients) < 1e-5
    assert all(p.grad is None for p in model.parameters())


def test_a_student_learns_the_hidden_states_of_its_teacher_too(model):
    student = copy.deepcopy(model)
    silence(encoder_layers(student)[0].linear2, slice(0, NEURONS // 2))
    with paddle.no_grad():
        distillation = Distillation(model, student)
    student.train()
    optimizer = paddle.optimizer.Adam(3e-3, parameters=student.parameters())
    losses = []
    for _ in range(30):
        loss = distillation.loss(student(INPUT_IDS), INPUT_IDS)
        losses.append(float(loss))
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
    assert losses[-1] < losses[0] - 1e-3
    assert np.abs(logits(student) - logits(model)).max() < 0.1


def test_a_teacher_keeps_nothing_for_the_students_that_it_had_before(model):
    """A list of widths is learnt one after the other; what the teacher computes must be freed after each step."""
    for _ in range(2):
        student = copy.deepcopy(model)
        Distillation(model, student).loss(student(INPUT_IDS), INPUT_IDS).backward()
        assert not any(layer._forward_post_hooks for layer in model.sublayers())


def test_narrowing_removes_as_many_parameters_as_the_arithmetic_says(model):
    hidden = HEADS * HEAD_SIZE
    of_attention = 3 * (hidden + 1) * hidden + hidden * hidden
    of_feed_forward = (hidden + 1) * NEURONS + NEURONS * hidden
    removed = 2 * (of_attention + of_feed_forward) // 2  # of two layers, half
    before = sum(p.size for p in model.parameters())
    assert sum(p.size for p in narrowed(model, Fraction(1, 2)).parameters()) == before - removed


def test_the_last_layer_may_read_the_first_token_only(model, dataset):
    pruned = prune(model, measure_importance(model, dataset, binary_cross_entropy, 2), Fraction(1, 2))
    whole = logits(pruned)
    pool_in_last_layer(pruned)
    np.testing.assert_allclose(logits(pruned), whole, atol=1e-5)


@given(st.integers(1, 48), st.integers(1, 48))
def test_a_width_keeps_a_whole_number_of_heads_or_says_which_would(part, of):
    width = Fraction(min(part, of), of)
    if (12 * width).denominator == 1:
        assert kept(12, width) == 12 * width
    else:
        with pytest.raises(InputError, match=r"give a multiple of 1/12, such as"):
            kept(12, width)


def test_widths_are_read_as_people_write_them():
    assert parse_widths("2/3") == [Fraction(2, 3)]
    assert parse_widths(["3/4", "0.5,0.25", "[1/2]"]) == [Fraction(3, 4), Fraction(1, 2), Fraction(1, 4)]
    assert parse_widths(str(2 / 3)) == [Fraction(2, 3)]
    assert [folder_name(width) for width in parse_widths("2/3,1/4,1")] == ["0.6666666666666666", "0.25", "1.0"]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("0", "above 0 and at most 1"),
        ("-1/2", "above 0 and at most 1"),
        ("1.01", "above 0 and at most 1"),
        ("4/3", "above 0 and at most 1"),
        ("1/0", "is no number; give a fraction such as 2/3"),
        ("half", "is no number"),
        ("nan", "is no number"),
        ("__import__('os').getcwd()", "is no number"),
        (",", "names no width"),
    ],
)
def test_a_width_that_cannot_be_meant_is_refused(word, reason):
    with pytest.raises(InputError, match=reason):
        parse_widths(word)
