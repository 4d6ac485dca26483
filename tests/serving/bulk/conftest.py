"""A linear model, which answers at once, and texts for it."""

from __future__ import annotations

import pytest

from pipeline.files.bundle import Bundle
from serving.bulk.options import BulkOptions
from serving.bulk.scoring import Scorer


@pytest.fixture(scope="session")
def texts(sample_dataset) -> list[str]:
    return (sample_dataset / "data.txt").read_text(encoding="utf-8").splitlines()[:100]


@pytest.fixture(scope="session")
def scorer(linear) -> Scorer:
    return Scorer(linear, BulkOptions(input=("in",), bundle=linear.path, output_dir="out"))


@pytest.fixture(scope="session")
def expected(scorer, texts) -> list[list[tuple[str, float]]]:
    """What the predictor answers."""
    return [[tuple(label) for label in answer] for answer in scorer.predictor.predict(texts)]


@pytest.fixture
def options(tmp_path, linear: Bundle):
    """Options over the folder `in` of this test."""
    (tmp_path / "in").mkdir()

    def made(**given: object) -> BulkOptions:
        places = {"input": (str(tmp_path / "in"),), "bundle": linear.path, "output_dir": tmp_path / "out"}
        return BulkOptions(**{**places, **given})

    return made
