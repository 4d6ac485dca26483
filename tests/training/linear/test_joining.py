"""Weights of encoder and linear part, and whether both earn their place."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.metrics.threshold_tuning import tune
from training.linear import fitting
from training.linear.features import learn_tables, matrix
from training.linear.fitting import MOST_ENTRIES, fit_linear, separate, thinned, thinning
from training.linear.joining import BOTH, ENCODER, LINEAR, cross_fitted_scores, learn_weights

HIERARCHY = LabelHierarchy(["grain", "grain##wheat", "ship"])


def voices(seed=0, rows=400):
    """Labels, and what two voices with independent errors say of them, float32 [rows, 3] each."""
    random = np.random.default_rng(seed)
    labels = random.random((rows, 3)) < 0.3
    labels[:, 0] |= labels[:, 1]
    signal = np.where(labels, 1.0, -1.0)
    return labels, *(np.float32(signal + random.normal(0, 1.2, signal.shape)) for _ in range(2))


def tuned(logits, labels):
    return tune(HIERARCHY, logits, labels, "fixed")


def test_two_voices_with_errors_of_their_own_are_better_together():
    labels, encoder, margins = voices()
    scores = cross_fitted_scores(encoder, margins, labels, HIERARCHY, tuned)
    assert scores[BOTH]["micro_f1"] > max(scores[ENCODER]["micro_f1"], scores[LINEAR]["micro_f1"]) + 0.02
    weights = learn_weights(encoder, margins, labels)
    assert 0.7 < weights.encoder / weights.factor < 1.4


def test_a_voice_that_knows_nothing_gets_no_say():
    labels, encoder, _ = voices()
    noise = np.random.default_rng(1).normal(size=labels.shape).astype(np.float32)
    weights = learn_weights(encoder, noise, labels)
    assert abs(weights.factor) < 0.1 * weights.encoder
    against = learn_weights(encoder, -encoder * 0.3 + noise, labels)
    assert against.factor >= 0 and against.encoder > 0
    assert learn_weights(noise - encoder, encoder, labels).encoder >= 0


def test_a_label_that_no_training_row_has_does_not_bend_the_curve():
    labels, _, margins = voices()
    made_up = margins.copy()
    made_up[:, 2] = -10
    separable = np.array([True, True, False])
    weights = learn_weights(None, made_up, labels, separable)
    assert weights == learn_weights(None, margins[:, :2], labels[:, :2])
    with_it, without = (
        cross_fitted_scores(margins, made_up, labels, HIERARCHY, tuned, given)[LINEAR] for given in (None, separable)
    )
    assert without["micro_f1"] > with_it["micro_f1"]


def test_margins_that_mislead_are_not_turned_round():
    labels, _, margins = voices()
    assert learn_weights(None, -margins, labels).factor > 0
    assert learn_weights(margins, -margins, labels).factor >= 0


def test_fitting_says_which_labels_had_something_to_separate():
    texts, labels = ["wheat", "ship"] * 3, np.array([[1, 1, 0], [1, 0, 0]] * 3, bool)
    assert fit_linear(texts, labels, texts, labels, HIERARCHY).separable.tolist() == [False, True, False]


@pytest.mark.parametrize("labels", [np.ones((4, 3), bool), np.zeros((4, 3), bool)], ids=["all", "none"])
def test_labels_that_teach_nothing_change_nothing(labels):
    encoder = margins = np.ones((4, 3), np.float32)
    weights = learn_weights(encoder, margins, labels)
    assert np.allclose(weights.logits(encoder, margins), 1)
    assert np.allclose(learn_weights(None, margins, labels).logits(None, margins), 1)


def test_one_row_of_dev_is_enough():
    labels, encoder, margins = voices(rows=1)
    scores = cross_fitted_scores(encoder, margins, labels, HIERARCHY, tuned)
    assert scores[BOTH]["micro_f1"] == scores[ENCODER]["micro_f1"]  # neither is measured: it is left out


def test_of_too_many_rows_some_are_learnt_from(capsys):
    texts, labels = ["wheat", "ship"] * 30, np.array([[1, 1, 0], [0, 0, 1]] * 30, bool)
    fitted = fit_linear(texts, labels, texts, labels, HIERARCHY, most_products=300)
    assert "learns from" in capsys.readouterr().out
    assert fitted.part.labels == 3


def test_thinning_leaves_rare_labels_their_rows():
    labels = np.zeros((1000, 3), bool)
    labels[:, 0], labels[[501, 503, 777], 1], labels[1:200:2, 2] = True, True, True
    rows = thinned(labels, 10)
    assert len(rows) == 100 and {501, 503, 777} <= set(rows.tolist())
    assert labels[rows, 2].sum() >= 20 and rows.max() > 800
    assert thinned(labels[:, :1], 100).tolist() == list(range(10))


def test_rows_are_thinned_before_they_take_the_memory():
    texts = ["wheat and ship"] * 2000
    tables, rarity = learn_tables(texts, 1)
    probe = matrix(tables, rarity, texts[:100])
    assert thinning(probe, 5 * MOST_ENTRIES, 1, 10**15) == 5 * probe.nnz // 100
    assert thinning(probe, len(texts), 1, 10**15) == 1


@pytest.mark.filterwarnings("ignore:.*sklearn.utils.parallel")
def test_few_machines_are_fitted_at_a_time_where_each_copies_much(monkeypatch):
    texts, labels = ["wheat", "ship"] * 3, np.array([[1, 0], [0, 1]] * 3, bool)
    features = matrix(*learn_tables(texts, 2), texts)
    asked: list[int] = []

    def parallel(processes, **_):
        asked.append(processes)
        return lambda fits: (fit(*given) for fit, given, _ in fits)

    monkeypatch.setattr(fitting, "Parallel", parallel)
    separate(features, labels, 1.0)  # too little for processes of its own
    monkeypatch.setattr(fitting, "LEAST_PRODUCTS", 0)
    monkeypatch.setattr(fitting.os, "sched_getaffinity", lambda _: range(64))
    separate(features, labels, 1.0)
    monkeypatch.setattr(fitting, "COPIED_BYTES", 3 * 16 * features.nnz + 5)
    separate(features, labels, 1.0)
    monkeypatch.setattr(fitting, "COPIED_BYTES", 1)
    separate(features, labels, 1.0)
    assert asked == [1, 64, 3, 1]


def test_a_linear_part_learns_what_words_mean():
    texts = ["wheat harvest rises", "cargo vessel in port", "grain stocks fall", "oats and grain"] * 5
    labels = np.array([[1, 1, 0], [0, 0, 1], [1, 0, 0], [1, 0, 0]] * 5, bool)
    fitted = fit_linear(texts, labels, texts, labels, HIERARCHY)
    assert ((fitted.part.logits(["a vessel in the port", "more wheat harvest"]) > 0) == [[0, 0, 1], [1, 1, 0]]).all()
    assert np.allclose(fitted.part.logits(texts), fitted.margins, atol=1e-4)


def test_margins_that_set_all_apart_make_nobody_sure_of_what_was_never_seen():
    random = np.random.default_rng(0)
    labels = random.random((60, 9)) < 0.25
    margins = np.where(labels, 0.4, -0.9).astype(np.float32)
    logits = learn_weights(None, margins, labels).logits(None, np.array([[0.4, -0.15, -0.9]], np.float32))
    right, unknown, wrong = (1 / (1 + np.exp(-logits[0]))).tolist()
    assert right > 0.98
    assert 0.2 < unknown < 0.9
    assert wrong < 0.01
