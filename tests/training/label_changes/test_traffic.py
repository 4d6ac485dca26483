"""Counts of the development set outlive a change of labels where they are those of the changed model, too."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.labels.decoding import POLICIES, Decoder, DecodingPolicy
from pipeline.labels.hierarchy import LabelHierarchy
from pipeline.metrics.traffic import TOP_LABEL, TOP_SCORE, TRAFFIC, expected_traffic
from tests.conftest import run_in_process
from tests.training.label_changes.small import ORGANISED, write_small_checkpoint
from training import labels
from training.labels import LabelOptions, change_labels

LOGITS = np.random.default_rng(0).normal(-0.5, 1.5, (500, len(ORGANISED))).astype(np.float32)
LENGTHS = {"8": 300, "16": 200}
BOTH, SCORE, NEITHER = {TOP_SCORE, TOP_LABEL}, {TOP_SCORE}, set()


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    ("change", "kept"),
    [
        (("rename", "组织", "机构"), BOTH),
        (("rename", "组织##罢工", "组织##停工"), BOTH),
        (("move", "组织##罢工##全国", "组织"), BOTH),
        (("move", "组织##罢工", "产品"), SCORE),
        (("move", "组织##裁员", ""), SCORE),
        (("move", "财经", "产品"), SCORE),
        (("merge", "财经", "产品"), NEITHER),
        (("drop", "财经"), NEITHER),
    ],
)
def test_counts_are_kept_where_they_are_exact(policy, change, kept, tmp_path):
    decoder = Decoder(LabelHierarchy(ORGANISED), 0.5, DecodingPolicy(policy))
    traffic = {**expected_traffic(decoder.decode(LOGITS)), "text_length": LENGTHS}
    folder = write_small_checkpoint(
        tmp_path / "checkpoint", encoder=False, thresholds=[0.5], decoding={"policy": policy}, data={TRAFFIC: traffic}
    )
    after = change_labels(LabelOptions(change=change, params_path=folder, output_path=tmp_path / "changed"))
    if policy == "single_path" and change[0] == "move":
        kept = kept & SCORE  # a shorter path may now be the better one
    columns = [ORGANISED.index(label) for label in ORGANISED if change[0] in ("rename", "move") or label != change[1]]
    counted = expected_traffic(after.decoder().decode(LOGITS[:, columns]))
    assert after.record.data[TRAFFIC] == {**{feature: counted[feature] for feature in kept}, "text_length": LENGTHS}


def test_what_is_no_longer_watched_is_told(tmp_path):
    folder = write_small_checkpoint(
        tmp_path / "checkpoint", encoder=False, data={TRAFFIC: {TOP_SCORE: {"1.0": 9}, TOP_LABEL: {"财经": 9}}}
    )
    words = ("--params_path", folder, "--output_path", tmp_path / "changed")
    told = run_in_process(labels.main, "move", "财经", "产品", *words).stdout
    assert "note: servers no longer hold top_label of texts against dev.txt" in told
    assert "no longer hold" not in run_in_process(labels.main, "rename", "财经", "金融", *words).stdout
