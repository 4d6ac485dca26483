import numpy as np
import pytest

from pipeline.labels.decoding import Decoder, sigmoid
from pipeline.labels.hierarchy import LabelHierarchy
from training.checkpoint.files import TrainingRecord
from training.confidence.calibration import calibrated, calibration_error, learn_calibration

HIERARCHY = LabelHierarchy(("a", "a##x", "a##y", "b", "b##x"))


def drawn(rows, chance, spread=4.0):
    """Logits, and labels that are true as often as `chance` makes of the logits of their level."""
    random = np.random.default_rng(0)
    logits = random.normal(-2, spread, (rows, len(HIERARCHY))).astype(np.float32)
    chances = np.where(HIERARCHY.levels == 1, *(sigmoid(chance(logits, level)) for level in (1, 2)))
    return logits, random.random(logits.shape) < chances


def test_scores_of_another_loss_become_probabilities():
    """ZLPR's logits are half the log odds: both slopes are 2 then. Levels differ."""
    logits, actual = drawn(4000, lambda logits, level: 2 * logits - level)
    learnt = learn_calibration(HIERARCHY, logits, actual)
    numbers = np.array([learnt.calibration.low, learnt.calibration.high, learnt.calibration.offset]).T
    assert numbers == pytest.approx(np.array([[2, 2, -level] for level in HIERARCHY.levels]), abs=0.3)
    new, its = drawn(4001, lambda logits, level: 2 * logits - level)
    assert calibration_error(sigmoid(new), its) > 0.05
    assert calibration_error(sigmoid(learnt.calibration(new)), its) < 0.01
    assert learnt.before[0] > 0.05 and learnt.after[0] < 0.01


def test_a_bend_is_learnt():
    """Scores that are far too low where a label is likely, and right elsewhere."""
    logits, actual = drawn(4000, lambda logits, _: np.where(logits > 0, 4 * logits, logits))
    learnt = learn_calibration(HIERARCHY, logits, actual)
    assert learnt.calibration.high[0] > 3 * learnt.calibration.low[0]


@pytest.mark.parametrize("rows", [1, 2, 5, 40])
def test_few_rows_that_are_all_right_make_nobody_sure(rows):
    logits, actual = drawn(rows, lambda logits, _: 100 * logits)
    learnt = learn_calibration(HIERARCHY, logits, actual)
    if learnt.calibration:
        assert max(learnt.calibration.low + learnt.calibration.high) < 5
    assert all(np.isfinite(learnt.before + learnt.after))


def test_what_helps_no_other_rows_is_left_out(capsys):
    random = np.random.default_rng(1)
    logits = np.full((8, len(HIERARCHY)), -1.0, np.float32)
    actual = np.arange(8)[:, None] % 2 == np.zeros(len(HIERARCHY), int)  # each half says the opposite of the other
    logits += random.normal(0, 0.01, logits.shape).astype(np.float32)
    record = TrainingRecord("scratch-tiny", 16, "none")
    told = calibrated(record, HIERARCHY, logits, actual, {})
    assert told.calibration is None and told.thresholds == record.thresholds
    assert "left out, for scores are better as they are" in capsys.readouterr().out


@pytest.mark.parametrize("thresholds", [(0.5,), (0.3, 0.5, 0.7, 0.05, 0.95)], ids=len)
def test_label_sets_stay_as_they_are(thresholds, capsys):
    logits, actual = drawn(500, lambda logits, level: 2 * logits - level)
    before = TrainingRecord("scratch-tiny", 16, "none", thresholds=thresholds)
    after = calibrated(before, HIERARCHY, logits, actual, {})
    assert len(after.thresholds) == len(HIERARCHY) and " -> " in capsys.readouterr().out
    plain = Decoder(HIERARCHY, thresholds if len(thresholds) > 1 else thresholds[0]).decode(logits)
    moved = Decoder(HIERARCHY, after.thresholds, calibration=after.calibration).decode(logits)
    assert np.array_equal(plain.selected, moved.selected)
    assert not np.allclose(plain.confidences, moved.confidences, atol=0.05)
