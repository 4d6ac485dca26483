"""Counts of single labels outlive a change of labels where they are exactly those of the changed model."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.files.bundle import read_linear
from pipeline.labels.decoding import POLICIES, Decoder, DecodingPolicy
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.metrics.sets import LABEL_COUNTS, Metrics
from tests.conftest import run_in_process
from tests.training.label_changes.small import ORGANISED, write_small_checkpoint
from training import labels
from training.checkpoint.files import read_checkpoint
from training.label_changes.changes import Labels, read_change
from training.label_changes.columns import Added, write_changed

HIERARCHY = LabelHierarchy(ORGANISED)
RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(-0.5, 1.5, (500, len(ORGANISED))).astype(np.float32)
ACTUAL = HIERARCHY.raise_ancestors(RANDOM.random((500, len(ORGANISED))) < 0.2)
NAMES = ("rows", "answered", "right")
CHANGES = [
    [("rename", "组织", "机构"), ("rename", "机构##罢工", "机构##停工")],
    [("move", "组织##罢工##全国", "组织")],
    [("move", "组织##罢工", "产品")],
    [("move", "组织##裁员", "")],
    [("move", "财经", "产品")],
    [("merge", "财经", "产品")],
    [("merge", "组织##裁员", "产品##发布")],
    [("drop", "组织##裁员")],
    [("drop", "财经")],
    [("drop", "组织##罢工"), ("rename", "产品", "商品")],
    [("add", "产品##召回")],
]
KEPT = {
    # By change how many labels keep all their counts, with the policies of POLICIES; by hand.
    0: (7, 7, 7, 7),
    1: (6, 6, 5, 0),
    2: (5, 5, 3, 0),
    8: (6, 6, 6, 0),
    10: (7, 6, 0, 0),
}


def counted(hierarchy, decoding, logits, actual):
    metrics = Metrics(hierarchy)
    metrics.update(actual, Decoder(hierarchy, 0.5, decoding).decode(logits).selected)
    return metrics.counts()


def changed_rows(made, hierarchy):
    """ACTUAL with the labels of after: a row's deepest labels tell what it says."""
    rows = []
    for row in ACTUAL:
        deepest = HIERARCHY.deepest(np.flatnonzero(row).tolist())
        own = {made.destinations[ORGANISED[column]] for column in deepest} - {None}
        rows.append([hierarchy.index[label] for label in own])
    return hierarchy.raise_ancestors(hierarchy.matrix(rows))


@pytest.mark.parametrize("further", [{}, {"at_least_one": True}, {"top_k": 2}, {"leading": ("组织##罢工",)}], ids=str)
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("number", range(len(CHANGES)))
def test_what_is_kept_is_what_would_be_counted(number, policy, further, tmp_path):
    decoding = DecodingPolicy(policy, **further)
    before = counted(HIERARCHY, decoding, LOGITS, ACTUAL)
    folder = write_small_checkpoint(
        tmp_path / "checkpoint",
        encoder=False,
        thresholds=[0.5],
        decoding=decoding.to_json(),
        data={LABEL_COUNTS: before},
    )
    changes = [read_change(words) for words in CHANGES[number]]
    made, checkpoint = Labels(HIERARCHY), read_checkpoint(folder)
    made.apply(changes)
    new = sum(change.verb == "add" for change in changes)
    added = None
    if new:
        linear = read_linear(folder / "linear.npz", len(ORGANISED)).of_columns([0] * new)
        added = Added(rows=(5,) * new, threshold=0.5, classifier=None, linear=linear)
    write_changed(checkpoint, changes, made, tmp_path / "changed", None, added)
    after = read_checkpoint(tmp_path / "changed")
    logits = np.concatenate([LOGITS, RANDOM.normal(0, 2, (500, new)).astype(np.float32)], axis=1)[:, made.columns]
    wanted = counted(after.hierarchy, after.record.decoding, logits, changed_rows(made, after.hierarchy))
    kept = after.record.data[LABEL_COUNTS]
    for name in NAMES:
        assert len(kept[name]) == len(after.hierarchy)
        assert [own for own, is_kept in zip(wanted[name], kept[name]) if is_kept is not None] == [
            each for each in kept[name] if each is not None
        ]
    if number in KEPT and not further:
        whole = sum(None not in counts for counts in zip(*kept.values()))
        assert whole == KEPT[number][POLICIES.index(policy)]


def test_a_label_that_was_counted_otherwise_is_not_told_and_others_are(tmp_path):
    counts = counted(HIERARCHY, DecodingPolicy(), LOGITS, ACTUAL)
    folder = write_small_checkpoint(tmp_path / "checkpoint", encoder=False, data={LABEL_COUNTS: counts})
    words = ("--params_path", folder, "--output_path", tmp_path / "changed")
    assert run_in_process(labels.main, "drop", "组织##裁员", *words).returncode == 0
    kept = read_checkpoint(tmp_path / "changed").record.data[LABEL_COUNTS]
    assert kept["answered"] == [None, *counts["answered"][2:]]
    assert kept["rows"] == [counts["rows"][0], *counts["rows"][2:]]  # rows of what is dropped stay with its parent
