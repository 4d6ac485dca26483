"""Answers of many labels are bounded."""

import pytest

from pipeline.errors import InputError
from pipeline.labels.decoding import DecodingPolicy
from pipeline.served import ServedModel
from serving.console.forms import check_size

forms = pytest.importorskip("pydantic", reason="the console's environment has it")


def model(labels):
    names = tuple(f"label {number}" for number in range(labels))
    return ServedModel(1, "", "", "", names, 128, 32, 0, (0.5,) * labels, DecodingPolicy())


def test_the_scores_of_all_labels_are_asked_for_a_few_texts_at_once():
    check_size(["a"] * 1024, model(200))
    check_size(["a"], model(300_000))
    with pytest.raises(InputError, match="27 texts get 10,000 scores each; ask for at most 26 of them at once"):
        check_size(["a"] * 27, model(10_000))
