"""Parts hold what the offline predictor answers."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from pipeline.files.bundle import Bundle, seal
from pipeline.labels.promises import Promise
from serving.bulk.rows import Row
from serving.bulk.scoring import Scorer


@pytest.fixture
def promising(linear, scorer, texts, tmp_path) -> Bundle:
    """A bundle whose labels without children lead, and which promises of a parent what only its child does."""
    hierarchy, scores = linear.hierarchy, scorer.predictor.decode(texts).scores
    leading = tuple(label for label in hierarchy.labels if "##" in label)
    children = [hierarchy.index[label] for label in leading]
    parents = [hierarchy.index[label.partition("##")[0]] for label in leading]
    lacking = np.where(scores[:, children] > 0.5, scores[:, children] - scores[:, parents], 0)
    text, number = np.unravel_index(lacking.argmax(), lacking.shape)
    assert lacking[text, number] > 0
    cutoff = float(scores[text, children[number]])
    shutil.copytree(linear.path, tmp_path / "bundle")
    manifest = linear.manifest
    return seal(
        tmp_path / "bundle",
        replace(
            manifest,
            decoding=replace(manifest.decoding, leading=leading),
            thresholds=(0.5,) * len(hierarchy),
            promises=(Promise(0.9, (cutoff, cutoff)),),
        ),
    )


def test_what_is_promised_is_what_the_predictor_promises(options, promising, texts):
    scorer = Scorer(promising, options())
    table = scorer.table([Row(str(number), str(number), text) for number, text in enumerate(texts)])
    expected = scorer.predictor.predict(texts)
    assert table.column("promised").to_pylist() == [
        pytest.approx(list(answer.promised)) if answer.promised else [] for answer in expected
    ]
