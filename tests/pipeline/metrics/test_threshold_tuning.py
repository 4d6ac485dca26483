import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.labels.decoding import sigmoid
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.metrics.threshold_tuning import PRIOR_EXAMPLES, micro_f1, per_label_thresholds, tune

HIERARCHY = LabelHierarchy(["A", "A##a", "A##b", "B"])
TEXTS = 400


def logits_and_labels(shifts):
    """Texts of all kinds; a label scores higher where it is true, and `shifts` moves each label's logits."""
    random = np.random.default_rng(3)
    actual = HIERARCHY.matrix([HIERARCHY.with_ancestors([HIERARCHY.labels[i]]) for i in random.integers(1, 4, TEXTS)])
    return np.where(actual, 2.0, -2.0) + random.normal(0, 1.0, actual.shape) + np.array(shifts), actual


def test_fixed_takes_no_notice_of_the_texts():
    logits, actual = logits_and_labels([0, 3, 3, 3])
    decoder = tune(HIERARCHY, logits, actual, "fixed")
    assert set(decoder.thresholds) == {0.5}
    assert decoder.policy.policy == "ancestors"


def test_one_threshold_moves_where_all_scores_are_low():
    logits, actual = logits_and_labels([-2, -2, -2, -2])
    decoder = tune(HIERARCHY, logits, actual, "global")
    assert len(set(decoder.thresholds)) == 1
    assert decoder.thresholds[0] < 0.3
    assert micro_f1(decoder, logits, actual) > micro_f1(tune(HIERARCHY, logits, actual, "fixed"), logits, actual)


def test_a_threshold_per_label_mends_labels_that_lean_different_ways():
    logits, actual = logits_and_labels([0, -2, 2, 0])
    decoder = tune(HIERARCHY, logits, actual, "per_label")
    assert decoder.thresholds[1] < 0.35 and decoder.thresholds[2] > 0.65
    assert micro_f1(decoder, logits, actual) > micro_f1(tune(HIERARCHY, logits, actual, "global"), logits, actual)


def test_where_thresholds_per_label_do_not_generalise_one_is_kept():
    """Nothing to learn: all labels lean the same way, so what differs between them is chance."""
    logits, actual = logits_and_labels([0, 0, 0, 0])
    logits, actual = logits[:60], actual[:60]
    chosen = per_label_thresholds(sigmoid(logits), actual, 0.5)
    assert len(set(chosen)) > 1
    decoder = tune(HIERARCHY, logits, actual, "per_label")
    assert len(set(decoder.thresholds)) == 1


def test_few_examples_decide_little():
    """A frequent label does best at 0.5; of two that do best at 0.3 the rare one stays where all are."""
    scores, actual = np.full((1000, 3), 0.1, np.float32), np.zeros((1000, 3), bool)
    for label, (examples, score) in enumerate(((500, 0.55), (10 * PRIOR_EXAMPLES, 0.3), (1, 0.3))):
        actual[:examples, label] = True
        scores[:examples, label] = score
    scores[500:, 0] = 0.45  # what a lower threshold would cost
    assert per_label_thresholds(scores, actual, 0.5) == pytest.approx([0.5, 0.3, 0.5])


def test_a_label_without_examples_gets_what_is_best_for_all():
    scores, actual = np.full((100, 2), 0.1, np.float32), np.zeros((100, 2), bool)
    scores[:50, 0], actual[:50, 0] = 0.3, True
    assert per_label_thresholds(scores, actual, 0.5) == pytest.approx([0.3, 0.3])


def test_the_policy_is_the_best_on_these_texts():
    """Each text has one path, and wrong labels score high: only the best path is right."""
    random = np.random.default_rng(3)
    ends = random.integers(1, 4, TEXTS)
    actual = HIERARCHY.matrix([HIERARCHY.with_ancestors([HIERARCHY.labels[i]]) for i in ends])
    logits = np.where(actual, 1.0, random.choice([0.5, -6.0], actual.shape)) + random.uniform(-3, 3, (TEXTS, 1))
    assert tune(HIERARCHY, logits, actual, "global").policy.policy == "single_path"


def test_an_unknown_mode_is_named():
    with pytest.raises(InputError, match="unknown thresholds 'best'"):
        tune(HIERARCHY, np.zeros((1, 4)), np.zeros((1, 4), bool), "best")
