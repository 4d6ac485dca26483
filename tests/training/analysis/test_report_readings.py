"""What the report says beside the figures: how much was read, and labels that could not be learnt or measured."""

import pytest

from tests.evaluations import evaluation, scores
from tests.training.analysis.test_report import browser, opened  # noqa: F401

READING = {"length": 128, "cut": 0.5, "read": 0.4, "unknown": 0.01, "wanted_length": 600}


@pytest.fixture
def doubtful():
    made = evaluation(reading=READING, few_rows=10)
    for label, support in zip(made["labels"], (0, 9, 9, 10, 500, 500)):
        label["train"] = scores(0.9, support)
    return made


def test_it_tells_what_was_not_read_not_learnt_and_not_measured(opened, doubtful):  # noqa: F811
    page = opened(doubtful)
    assert page.texts(".readings li") == [
        "The model reads 128 tokens of a text: 50.0 % of the texts are longer, and 40.0 % of all tokens are read. "
        "A length of 600 would read 99 %.",
        "Hardly to be learnt: labels without a training row: 1; with fewer than 10: 2.",
        "Macro F1 counts all 6 labels; 1 of them have no evaluated row and count as 0.",
    ]
    page.click(".languages button")
    assert page.texts(".readings li")[1] == "难以学到的标签：没有训练样本的 1 个，少于 10 条的 2 个。"


def test_where_nothing_is_doubtful_it_says_how_much_was_read(opened):  # noqa: F811
    whole = {**READING, "cut": 0.0, "read": 1.0}
    made = evaluation(labels=("a", "b"), reading=whole, few_rows=10)
    made["labels"][-1]["dev"] = scores(0.5)
    assert opened(made).texts(".readings li") == [
        "The model reads 128 tokens of a text: 0.0 % of the texts are longer, and 100.0 % of all tokens are read."
    ]
