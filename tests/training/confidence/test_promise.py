import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.labels.decoding import Decoder, DecodingPolicy, sigmoid
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.labels.promises import Promise
from training.confidence.promise import CONFIDENCE, find_promises, notes, rows_needed

HIERARCHY = LabelHierarchy(("a", "a##x", "a##y", "b"))


def drawn(rows, seed, sure=(2.0, 0.5)):
    """Logits that mean what they say, and labels drawn by them; a child is true only where its parent is."""
    random = np.random.default_rng(seed)
    centres = np.where(HIERARCHY.levels == 1, *sure)
    logits = random.normal(centres, 2.5, (rows, len(HIERARCHY))).astype(np.float32)
    chances = sigmoid(logits)
    chances[:, 1:3] *= chances[:, :1]
    actual = random.random(logits.shape) < sigmoid(logits)
    actual[:, 1:3] &= actual[:, :1]
    return logits, actual, chances


def test_promises_are_kept_as_often_as_is_said():
    """Over many draws of the rows, the precision that the cut-offs have on all texts there could be."""
    logits, _, chances = drawn(20_000, seed=0)
    broken, draws = 0, 60
    for seed in range(1, draws + 1):
        own, actual, _ = drawn(600, seed)
        (promise,) = find_promises(Decoder(HIERARCHY), own, actual, [0.9], "rows.txt")
        kept = promise.kept(HIERARCHY, sigmoid(logits))
        levels = [kept & (HIERARCHY.levels == level) for level in (1, 2)]
        broken += any(level.any() and chances[level].mean() < 0.9 for level in levels)
        assert promise.coverage[0] > 0.5
    # At most (1 - CONFIDENCE) of them: three standard deviations of chance beside it.
    assert broken / draws <= 1 - CONFIDENCE + 3 * np.sqrt(CONFIDENCE * (1 - CONFIDENCE) / draws)


def test_what_leads_is_promised_with_its_parents():
    """Texts of a label that was added without training: its parents' scores say nothing of them."""
    logits, actual, _ = drawn(2000, seed=0)
    logits[:, 1], actual[:, 1] = -6, False
    new = np.random.default_rng(2).random(2000) < 0.3
    actual[new], logits[new] = [True, True, False, False], [-6, 4, -6, -6]
    leading = Decoder(HIERARCHY, policy=DecodingPolicy(leading=("a##x",)))
    (promise,) = find_promises(leading, logits, actual, [0.9], "rows.txt")
    decoder = Decoder(HIERARCHY, policy=leading.policy, promises=[promise]).promising(0.9)
    selected = decoder.decode(logits).selected
    assert selected[new][:, :2].all()
    for level in (1, 2):
        answered = selected & (HIERARCHY.levels == level)
        assert actual[answered].mean() > 0.9 and answered.any(axis=1).mean() == pytest.approx(
            promise.coverage[level - 1], abs=1e-4
        )
    assert find_promises(Decoder(HIERARCHY), logits, actual, [0.9], "rows.txt")[0].coverage[0] < promise.coverage[0]


def test_more_is_promised_of_fewer():
    logits, actual, _ = drawn(3000, seed=0)
    found = find_promises(Decoder(HIERARCHY), logits, actual, [0.95, 0.8, 0.95], "rows.txt")
    assert [promise.precision for promise in found] == [0.8, 0.95]
    assert found[0].cutoffs[0] < found[1].cutoffs[0] and found[0].coverage[0] > found[1].coverage[0]
    assert (found[0].rests_on, found[0].rows, found[0].confidence) == ("rows.txt", 3000, CONFIDENCE)


def test_a_level_that_cannot_keep_it_has_none():
    logits, actual, _ = drawn(2000, seed=0)
    actual[:, 1:3] &= np.random.default_rng(1).random((2000, 2)) < 0.5
    (promise,) = find_promises(Decoder(HIERARCHY), logits, actual, [0.9], "rows.txt")
    assert len(promise.cutoffs) == 1
    assert "nothing below level 1" in promise.in_words(HIERARCHY.depth)
    assert not promise.kept(HIERARCHY, np.ones((1, 4), np.float32))[0, 1:3].any()


def test_it_tells_where_more_is_answered_than_without_it_and_what_has_no_row():
    def said(thresholds, cutoffs, actual):
        decoder = Decoder(HIERARCHY, thresholds)
        return list(notes(decoder, [Promise(0.9, cutoffs)], np.array([actual], bool)))

    assert said(0.2, (0.3, 0.2), [1, 1, 1, 1]) == []
    assert said([0.5, 0.2, 0.1, 0.3], (0.3, 0.15), [1, 1, 1, 1]) == [
        "the cut-offs of promise 0.9 (0.3 on level 1, 0.15 on level 2) lie below the model's own thresholds of 2 of 4 "
        "labels: with it texts can get labels that the plain answer leaves out"
    ]
    assert said(0.2, (0.3, 0.3), [1, 1, 0, 1]) == [
        "1 of 4 labels has no row there; what is promised of it rests on rows of other labels: a##y"
    ]
    assert said(0.2, (0.3, 0.3), [0, 0, 0, 0])[0].endswith("rests on rows of other labels: a, a##x, a##y, ...")
    assert said(0.2, (0.3,), [1, 0, 0, 1]) == []  # of labels without a promise nothing is said


def test_too_few_rows_and_too_much_are_told():
    logits, actual, _ = drawn(2000, seed=0)
    assert rows_needed(0.95, 2) == 59  # 0.95 ** 59 is below 0.05
    with pytest.raises(InputError, match="takes at least 59 labelled rows .* and few.txt has 58; give more"):
        find_promises(Decoder(HIERARCHY), logits[:58], actual[:58], [0.95], "few.txt")
    mistaken = actual & (np.random.default_rng(1).random(actual.shape) > 0.04)
    with pytest.raises(InputError, match=r"0.99 is more than the model keeps on rows.txt: the highest .* is 0\.9\d"):
        find_promises(Decoder(HIERARCHY), logits, mistaken, [0.99], "rows.txt")
    with pytest.raises(InputError, match="it can keep none"):
        find_promises(Decoder(HIERARCHY), logits, np.zeros_like(actual), [0.9], "rows.txt")
